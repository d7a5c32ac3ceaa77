"""Run by Superset's own environment: brings its metadata to this release, and makes roles and the one user.

`folder` has the secrets. What is there already stays; the user gets the password of the file, if it has another.
"""

import sys
from pathlib import Path

from superset.app import create_app


def main(folder: str, user: str) -> None:
    password = (Path(folder) / "admin_password").read_text(encoding="utf-8")
    app = create_app()
    with app.app_context():
        from flask_migrate import upgrade
        from superset import appbuilder, db, security_manager

        upgrade()
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        db.session.commit()
        found = security_manager.find_user(user)
        if found is None:
            admin = security_manager.find_role("Admin")
            security_manager.add_user(user, "Lakehouse", "Admin", f"{user}@localhost.invalid", admin, password=password)
        else:
            security_manager.reset_password(found.id, password)
        db.session.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
