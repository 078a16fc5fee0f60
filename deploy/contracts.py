"""The API descriptions, generated from the code: `python -m deploy.contracts [--check]`.

For each service `shared/contracts/capability/<service>.json` (its CapabilityStatement) and
`shared/contracts/openapi/<service>.json` (OpenAPI 3.1). With `--check` nothing is written: exit code 1, with what
differs, when a file is not what the code gives. No database is opened and no setting is read from the environment.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import creneau_booking.app
import creneau_booking.settings
import creneau_directory.app
import creneau_directory.settings
import creneau_notifications.app
import creneau_notifications.settings
from creneau_shared.app import ServiceApplication
from creneau_shared.fhir.rest.capability import statement
from creneau_shared.fhir.rest.openapi import openapi
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.settings import ServiceSettings
from deploy.local.folder import REPOSITORY

CONTRACTS = REPOSITORY / "shared" / "contracts"

BASE_URL = "https://creneau.example/fhir"
"""The base that the checked-in files speak of; a running server gives its own."""

DESCRIPTIONS: Mapping[str, Callable[[FhirServer], dict[str, Any]]] = {
    "capability": lambda server: statement(server.service, server.operations),
    "openapi": openapi,
}
"""Folder → what describes a server in it."""


def as_shipped(settings: type[ServiceSettings], **given: str) -> dict[str, Any]:
    """The arguments that give every setting its default, whatever the environment says."""
    fields = settings.model_fields.items()
    return {name: field.get_default() for name, field in fields if not field.is_required()} | given


def servers() -> Iterator[tuple[str, FhirServer]]:
    """The FHIR server of each service by its short name; built, not started."""
    where = {"public_base_url": BASE_URL, "database_url": "postgresql://nowhere/never_opened"}
    booking = creneau_booking.settings.BookingSettings
    directory = creneau_directory.settings.DirectorySettings
    notifications = creneau_notifications.settings.NotificationsSettings
    applications: dict[str, ServiceApplication] = {
        "booking": creneau_booking.app.create_app(booking(**as_shipped(booking, **where))),
        "directory": creneau_directory.app.create_app(directory(**as_shipped(directory, **where))),
        "notifications": creneau_notifications.app.create_app(
            notifications(**as_shipped(notifications, **where))
        ),
    }
    for name, application in applications.items():
        yield name, application.fhir


def generated() -> dict[Path, str]:
    """Each file, relative to `shared/contracts`, with the text that it should have."""
    return {
        Path(folder, f"{name}.json"): json.dumps(describe(server), ensure_ascii=False, indent=2) + "\n"
        for name, server in servers()
        for folder, describe in DESCRIPTIONS.items()
    }


def differences(root: Path, texts: Mapping[Path, str]) -> list[str]:
    """The lines of a unified diff from the files under `root` to `texts`; files that nothing generates count."""
    lines: list[str] = []
    stray = {file.relative_to(root) for folder in DESCRIPTIONS for file in (root / folder).glob("*")} - set(
        texts
    )
    for file in sorted({*texts, *stray}):
        there = (root / file).read_text(encoding="utf-8") if (root / file).exists() else ""
        lines += difflib.unified_diff(
            there.splitlines(),
            texts.get(file, "").splitlines(),
            f"{file} (checked in)",
            f"{file} (the code)",
            n=2,
            lineterm="",
        )
    return lines


def write(root: Path, texts: Mapping[Path, str]) -> None:
    """Write every file under `root`."""
    for file, text in texts.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None, root: Path = CONTRACTS) -> int:
    """1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m deploy.contracts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    texts = generated()
    if not parser.parse_args(arguments).check:
        write(root, texts)
        return 0
    lines = differences(root, texts)
    if not lines:
        print("API descriptions and code agree")
        return 0
    print("\n".join(lines))
    print("API descriptions and code differ: run `python -m deploy.contracts` and review the change")
    return 1


if __name__ == "__main__":
    sys.exit(main())
