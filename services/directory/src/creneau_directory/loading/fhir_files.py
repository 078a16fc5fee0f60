"""FHIR files: the NDJSON of an `$export`, a Bundle, a folder of either. Each resource is checked as a write is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from creneau_directory.loading.json_records import BrokenArrayError, NoArrayError, records
from creneau_directory.loading.pieces import Fragment, Line, Piece, Refused
from creneau_directory.loading.text_lines import BOM, opened, raw_lines
from creneau_directory.storage.tables import TYPES
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.json import loads

Check = Callable[[dict[str, Any]], str | None]
"""resource → its fault in a sentence; None: no fault"""
_NAMES: Final = ("*.ndjson", "*.ndjson.gz", "*.json", "*.json.gz")


@dataclass(frozen=True, slots=True)
class FhirFiles:
    """Resources of the directory's types under their own ids."""

    check: Check
    bytes_max: int
    name: str = "ror"
    merges: bool = False

    def lines(self, path: Path) -> Iterator[Line]:
        """Yields the resources of a file, or of all files of a folder in the order of their names."""
        files = sorted({one for name in _NAMES for one in path.glob(name)}) if path.is_dir() else [path]
        number = 0
        for file in files:
            for pieces in self._file(file):
                number += 1
                yield Line(number, pieces)

    def _file(self, path: Path) -> Iterator[tuple[Piece, ...]]:
        with opened(path) as file:
            first = next((raw for raw in raw_lines(file, self.bytes_max) if raw.strip()), b"")
        head = first.lstrip()[:4096]
        if not first.rstrip().endswith(b"}") or b'"resourceType":"Bundle"' in head.replace(b" ", b""):
            yield from self._bundle(path)
        else:
            with opened(path) as file:
                yield from (self._line(raw) for raw in raw_lines(file, self.bytes_max) if raw.strip())

    def _bundle(self, path: Path) -> Iterator[tuple[Piece, ...]]:
        with opened(path) as file:
            try:
                for entry in records(file, "entry", self.bytes_max):
                    yield self._entry(entry)
            except BrokenArrayError as error:
                if not (isinstance(error, NoArrayError) and self._is_empty_bundle(path)):
                    yield (Refused("broken-file", str(error), breaks_off=True),)

    def _is_empty_bundle(self, path: Path) -> bool:
        """Whether the file is a whole Bundle without entries, as a search that finds nothing answers."""
        with opened(path) as file:
            try:
                page = loads(file.read(self.bytes_max).removeprefix(BOM))
            except CreneauError:
                return False
        return isinstance(page, dict) and page.get("resourceType") == "Bundle" and "entry" not in page

    def _line(self, raw: bytes) -> tuple[Piece, ...]:
        if len(raw) >= self.bytes_max - 1:
            return (Refused("too-long", f"longer than {self.bytes_max} bytes"),)
        try:
            resource = loads(raw)
        except CreneauError as error:
            return (Refused("json", error.issues[0].en[:200]),)
        return self._resource(resource)

    def _entry(self, entry: Any) -> tuple[Piece, ...]:
        request = entry.get("request", {}) if isinstance(entry, dict) else {}
        if request.get("method") == "DELETE":
            kind, _, id_ = str(request.get("url", "")).partition("/")
            if kind in TYPES and id_:
                return (Fragment({"resourceType": kind, "id": id_}, gone=True),)
            return (Refused("delete", f"cannot tell what {request.get('url')} names", entries=()),)
        return self._resource(entry.get("resource") if isinstance(entry, dict) else None)

    def _resource(self, resource: Any) -> tuple[Piece, ...]:
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(kind, str) or not kind:
            return (Refused("type", f"a {type(resource).__name__} that is no resource"),)
        if kind not in TYPES:
            return (Refused("type", f"no type of the directory: {kind}", entries=()),)
        if not resource.get("id"):
            return (Refused("id", "a resource without an id"),)
        fault = self.check(resource)
        if fault is None:
            return (Fragment(resource),)
        return (Refused("invalid", fault, entries=((kind, str(resource["id"])),)),)
