"""The folder `.creneau`: everything that a local run keeps, and nothing else on the machine."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from deploy.local.ports import can_bind, free_port

REPOSITORY = Path(__file__).resolve().parents[2]


class Folder:
    """Paths, ports and secrets of one local run; `CRENEAU_FOLDER` puts it elsewhere."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or Path(os.environ.get("CRENEAU_FOLDER") or REPOSITORY / ".creneau")).absolute()
        self.postgres = self.root / "postgres"
        self.kafka = self.root / "kafka"
        self.mail = self.root / "mail"
        self.gateway = self.root / "gateway"
        self.assets = self.root / "assets"
        self.published = self.root / "published"
        self.tls = self.root / "tls"
        self.logs = self.root / "log"
        self.state = self.root / "state.json"
        self.lock = self.root / "lock"
        self.issuer_key = self.root / "issuer-key.json"
        self.contact_key = self.root / "contact-key.json"
        self.ports = self.root / "ports.json"

    def create(self) -> None:
        """Make the folder; others may pass through it (PostgreSQL runs as another user under root)."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)

    def secret(self, name: str) -> str:
        """A random secret, made once and kept, readable by the owner only."""
        path = self.root / f"{name}.secret"
        keep_once(path, secrets.token_urlsafe(32))
        return path.read_text()

    def port(self, name: str) -> int:
        """The port of a part, whether it runs or not: chosen once, then remembered."""
        known = read_json(self.ports).get(name)
        return int(known) if known else self._choose_port(name)

    def free_port(self, name: str) -> int:
        """The port of a part about to start: the remembered one unless someone else has taken it."""
        known = self.port(name)
        return known if can_bind(known) else self._choose_port(name)

    def _choose_port(self, name: str) -> int:
        ports: dict[str, int] = read_json(self.ports)
        others = {*ports.values(), int(os.environ.get("CRENEAU_PORT") or 8080)}
        chosen = next(port for port in iter(free_port, None) if port not in others)
        write_json(self.ports, ports | {name: chosen})
        return chosen

    def log(self, name: str) -> Path:
        """The log file of a part."""
        return self.logs / f"{name}.log"


def keep_once(path: Path, text: str) -> None:
    """Write a private file unless it exists; of several writers at once, one wins and the file is whole."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty when there is none."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a file in one step, so that a reader never meets half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(value, indent=2) + "\n")
    draft.replace(path)
