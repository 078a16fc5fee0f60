"""The official example resources, which lie beside the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from creneau_shared.fhir import json

ROOT = Path(__file__).parents[4] / "shared" / "fhir"

_FOLDERS = (
    "r4/[A-Z]*",
    "frcore-2.2.0/examples",
    "sas/examples",
    "gap/examples",
    "ror/examples-hand",
    "annuaire/examples",
    "ihe",
)


def examples() -> list[Path]:
    """Every official example that is a resource."""
    return [
        path
        for folder in _FOLDERS
        for path in sorted(ROOT.glob(f"{folder}/*.json"))
        if path.name != "index.json"
    ]


def invalid() -> list[Path]:
    """The derived resources that must be refused."""
    return [path for path in sorted(ROOT.glob("r4/invalid-derived/*.json")) if path.name != "INDEX.json"]


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes())


def name(path: Path) -> str:
    """What a test's id calls an example."""
    return str(path.relative_to(ROOT))
