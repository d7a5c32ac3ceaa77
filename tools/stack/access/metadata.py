"""Makes Airflow's metadata ready: its tables, the person who may log in, and the pools. Run by Airflow's environment.

One process for all three, because each command of Airflow takes seconds to start. Doing it again changes nothing, but
gives the user the password of the secrets. Run as `python -P …/metadata.py`, since Airflow's environment does not know
this checkout: without -P the file secrets.py beside it would stand before the standard library's.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.models.pool import Pool
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils import db
from airflow.utils.providers_configuration_loader import providers_configuration_loaded


@providers_configuration_loaded
def main() -> None:
    db.initdb()
    _make_user(os.environ["LAKEHOUSE_AIRFLOW_USER"], Path(os.environ["AIRFLOW_SECRETS"], "airflow_password"))
    _make_pools(Path(os.environ["LAKEHOUSE_ROOT"], "conf", "airflow", "pools.json"))


def _make_user(name: str, password: Path) -> None:
    with get_application_builder() as builder:
        security = builder.sm
        security.sync_roles()
        user = security.find_user(name)
        secret = password.read_text(encoding="utf-8")
        if user:
            security.reset_password(user.id, secret)
        else:
            security.add_user(name, "Lakehouse", "Admin", f"{name}@localhost", security.find_role("Admin"), secret)


def _make_pools(file: Path) -> None:
    """The form of `airflow pools import`."""
    for name, pool in json.loads(file.read_text(encoding="utf-8")).items():
        Pool.create_or_update_pool(name, pool["slots"], pool["description"], pool.get("include_deferred", False))


if __name__ == "__main__":
    main()
