"""creneau-directory load SOURCE FILE"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from creneau_directory.handlers import entry_faults
from creneau_directory.loading.annuaire import Annuaire
from creneau_directory.loading.fhir_files import FhirFiles
from creneau_directory.loading.finess import Finess
from creneau_directory.loading.pieces import Source
from creneau_directory.loading.runner import (
    Loading,
    LoadRefusedError,
    NoLongerAloneError,
    SourceBusyError,
    summary,
)
from creneau_directory.loading.settings import LoadSettings
from creneau_directory.settings import DirectorySettings
from creneau_directory.storage import loads as kept
from creneau_directory.storage.loads import Load
from creneau_shared.app import open_database
from creneau_shared.clock import PARIS, SystemClock
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.validation import validate


class Kind(StrEnum):
    """The kind of a file."""

    annuaire = "annuaire"
    finess = "finess"
    ror = "ror"
    fhir = "fhir"


def source_of(kind: Kind, settings: LoadSettings) -> Source:
    """The reader of a kind of file."""
    if kind is Kind.annuaire:
        return Annuaire(settings.load_line_bytes_max)
    if kind is Kind.finess:
        return Finess(settings.load_line_bytes_max, SystemClock().now().astimezone(PARIS).date())
    return FhirFiles(fault_of, settings.load_line_bytes_max)


def fault_of(resource: dict[str, Any]) -> str | None:
    """The first fault of a resource in a FHIR file (structure, invariants, profiles, the directory's rules); None: none."""
    issues = validate(resource, resource["resourceType"])
    if not issues:
        issues = [issue for issue in profile_issues(resource) if issue.severity == "error"]
    if issues:
        return f"{', '.join(issues[0].expression)}: {issues[0].en}"
    fault = next(entry_faults(resource, "system"), None)
    return None if fault is None else str(fault)


def load(
    source: Annotated[Kind, typer.Argument(help="what the file is: annuaire, finess, ror (or fhir)")],
    file: Annotated[Path, typer.Argument(exists=True, help="the file, packed or not; of FHIR a folder too")],
    delta: Annotated[
        bool, typer.Option(help="the file has only what changed: nothing is missing from it")
    ] = False,
    accept_gone: Annotated[
        bool, typer.Option(help="believe the file, however much is missing from it")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="where to write the report (JSON)")] = None,
) -> None:
    """Load a national file. Broken off, it goes on where it was when it is called again; called twice, nothing changes.

    Ends with 1 when the file is not believed, 2 when another process loads from this source.
    """
    status, said = asyncio.run(_load(source, file, whole=not delta, accept_gone=accept_gone))
    if report is not None:
        report.write_text(json.dumps(said, ensure_ascii=False, indent=1), "utf-8")
    typer.echo(json.dumps({**said, "lines": len(said["lines"])}, ensure_ascii=False))
    raise typer.Exit(status)


async def _load(kind: Kind, file: Path, *, whole: bool, accept_gone: bool) -> tuple[int, Mapping[str, Any]]:
    """Returns the exit status and the report."""
    settings, load_settings = DirectorySettings(), LoadSettings()
    source = source_of(kind, load_settings)
    async with open_database(settings, "creneau-directory-load") as database:
        base_url = settings.public_base_url.rstrip("/")
        loading = Loading(database, SystemClock(), base_url, source, load_settings, accept_gone, _progress)
        status, said = 0, ""
        try:
            done = await loading.run(file, whole=whole)
        except (LoadRefusedError, ValueError) as error:
            status, said, done = 1, str(error), None
        except SourceBusyError:
            return 2, {
                "source": source.name,
                "outcome": "another process loads from this source",
                "lines": [],
            }
        except NoLongerAloneError:
            return 3, {
                "source": source.name,
                "outcome": "broken off: the session that kept others from this source has ended; begun again it goes on",
                "lines": [],
            }
        async with database.connection() as connection:
            last = (
                done.id
                if done
                else await connection.fetchval("SELECT max(id) FROM load WHERE source = $1", source.name)
            )
            lines = await kept.refusals(connection, last or 0)
            began = await kept.began_at(connection, last or 0)
        return status, {
            "source": source.name,
            "file": file.name,
            "began": began.isoformat() if began else None,
            "outcome": said or "done",
            "counts": summary(done) if done else {},
            "lines": lines,
        }


def _progress(phase: str, load: Load) -> None:
    counted = ", ".join(f"{name} {number}" for name, number in summary(load).items() if ":" not in name)
    typer.echo(f"{phase}: line {load.lines}; {counted}", err=True)
