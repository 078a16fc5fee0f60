"""`python -m deploy.local.issuer`: serve on the loopback, at PORT, for the pages at PUBLIC_SITE_URL."""

from __future__ import annotations

import json
import os

import uvicorn
from joserfc.jwk import RSAKey

from creneau_shared.clock import SystemClock
from creneau_shared.http.serving import CalmServer
from deploy.local.folder import Folder, keep_once, read_json
from deploy.local.issuer.app import Registered, create_app
from deploy.local.issuer.store import Store
from deploy.local.ports import LOOPBACK
from deploy.local.tokens import Issuer

CLIENT_SECRET_NAME = "web-client"  # noqa: S105 - the name under which the folder keeps it


def rsa_key(folder: Folder) -> RSAKey:
    """The key pair of the French dialects (RS256), made on first use."""
    path = folder.root / "issuer-rsa-key.json"
    if not path.exists():
        fresh = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        keep_once(path, json.dumps(fresh.as_dict(private=True)))
    return RSAKey.import_key(read_json(path))


def main() -> None:
    """Serve until told to stop."""
    folder = Folder()
    clock = SystemClock()
    issuer = Issuer.of(folder)
    web = Registered(os.environ["PUBLIC_SITE_URL"], folder.secret(CLIENT_SECRET_NAME))
    app = create_app(issuer, rsa_key(folder), web, Store(folder.root / "issuer.sqlite", clock), clock)
    config = uvicorn.Config(
        app, host=LOOPBACK, port=int(os.environ["PORT"]), log_level="warning", access_log=False
    )
    CalmServer(config).run()


if __name__ == "__main__":
    main()
