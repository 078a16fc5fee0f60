"""Static files under names that change with their content, so that browsers keep them for ever."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class Assets:
    """The static files of the package, and of a theme that stands before them."""

    def __init__(self, theme: Path | None = None) -> None:
        own = Path(str(files("creneau_web").joinpath("static")))
        folders = [own, theme / "static"] if theme else [own]
        self._files = {
            file.name: file
            for folder in folders
            if folder.is_dir()
            for file in sorted(folder.iterdir())
            if file.is_file()
        }
        self._urls = {name: f"/static/{_hash(file)}/{name}" for name, file in self._files.items()}

    def url(self, name: str) -> str:
        """The address of a file; KeyError when there is none."""
        return self._urls[name]

    def find(self, version: str, name: str) -> tuple[bytes, str] | None:
        """Content and media type of a file; None when there is no such version of it."""
        if self._urls.get(name) != f"/static/{version}/{name}":
            return None
        file = self._files[name]
        return file.read_bytes(), KINDS.get(file.suffix, "application/octet-stream")

    def write(self, folder: Path) -> None:
        """Writes each file at its address below `folder`; older versions stay there, for pages that are open."""
        for name, url in self._urls.items():
            target = folder / url.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._files[name].read_bytes())


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
