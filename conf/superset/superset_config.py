"""Settings of the Superset of `make superset`: one machine, one user, and no other host that a page may ask for anything."""

import os
from pathlib import Path
from typing import Any

from superset.utils.log import DBEventLogger

FOLDER = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = (Path(os.environ["SUPERSET_SECRETS"]) / "secret_key").read_text(encoding="utf-8")
SQLALCHEMY_DATABASE_URI = f"sqlite:///{FOLDER / 'superset.db'}"
APP_NAME = "Lakehouse"
# On this machine by http alone, as the other pages of the stack are; each service's cookies have a name of their own.
SESSION_COOKIE_NAME = "superset_session"
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_HTTPONLY = True
WTF_CSRF_ENABLED = True
PUBLIC_ROLE_LIKE = None
AUTH_USER_REGISTRATION = False
FAB_API_SWAGGER_UI = False
PREVENT_UNSAFE_DB_CONNECTIONS = True
RATELIMIT_ENABLED = True
# The program counts its views with a picture of another host, and draws maps of others: a page is let ask for its own alone.
MAPBOX_API_KEY = ""
THEME_FONT_URL_ALLOWED_DOMAINS: list[str] = []
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "frame-ancestors": ["'none'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}


class Discreet(DBEventLogger):
    """Notes who did what, as Superset does, but not the password of gold, which comes with an import."""

    def log(self, user_id: Any, action: str, *args: Any, **kwargs: Any) -> None:
        """Leaves what an import brings out of the table `logs`."""
        if "import" in action.lower():
            kwargs = {**kwargs, "records": [{}]}
        super().log(user_id, action, *args, **kwargs)


EVENT_LOGGER = Discreet()
FEATURE_FLAGS = {"ALERT_REPORTS": False, "THUMBNAILS": False}
# A question takes no longer than the role's own limit lets it.
SQLLAB_TIMEOUT = 60
SUPERSET_WEBSERVER_TIMEOUT = 60
# A page has nobody else's words: what a row says is not run as a page's own HTML.
HTML_SANITIZATION = True
