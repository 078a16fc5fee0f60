"""`creneau-directory load`: national files in their published forms, the people and numbers in them invented."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest
from services.directory.tests.conftest import BASE, NOW, Directory
from services.directory.tests.test_directory import unique
from stdnum import luhn

from creneau_directory.loading import runner
from creneau_directory.loading.annuaire import Annuaire
from creneau_directory.loading.command import fault_of
from creneau_directory.loading.fhir_files import FhirFiles
from creneau_directory.loading.finess import Finess
from creneau_directory.loading.json_records import BrokenArrayError, records
from creneau_directory.loading.pieces import Refused, Source
from creneau_directory.loading.projections import lambert93, utm
from creneau_directory.loading.runner import (
    Lately,
    Loading,
    LoadRefusedError,
    NoLongerAloneError,
    SourceBusyError,
)
from creneau_directory.loading.settings import LoadSettings
from creneau_directory.storage import loads as kept
from creneau_directory.storage.bulk import BulkStore
from creneau_directory.storage.loads import Load
from creneau_directory.views import indexed
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.messaging.events import Event
from creneau_shared.messaging.outbox import append

HEADER = (
    "Type d'identifiant PP|Identifiant PP|Identification nationale PP|Code civilité d'exercice|Libellé civilité d'exercice|"
    "Code civilité|Libellé civilité|Nom d'exercice|Prénom d'exercice|Code profession|Libellé profession|"
    "Code catégorie professionnelle|Libellé catégorie professionnelle|Code type savoir-faire|Libellé type savoir-faire|"
    "Code savoir-faire|Libellé savoir-faire|Code mode exercice|Libellé mode exercice|Numéro SIRET site|Numéro SIREN site|"
    "Numéro FINESS site|Numéro FINESS établissement juridique|Identifiant technique de la structure|Raison sociale site|"
    "Enseigne commerciale site|Complément destinataire (coord. structure)|Complément point géographique (coord. structure)|"
    "Numéro Voie (coord. structure)|Indice répétition voie (coord. structure)|Code type de voie (coord. structure)|"
    "Libellé type de voie (coord. structure)|Libellé Voie (coord. structure)|Mention distribution (coord. structure)|"
    "Bureau cedex (coord. structure)|Code postal (coord. structure)|Code commune (coord. structure)|"
    "Libellé commune (coord. structure)|Code pays (coord. structure)|Libellé pays (coord. structure)|"
    "Téléphone (coord. structure)|Téléphone 2 (coord. structure)|Télécopie (coord. structure)|"
    "Adresse e-mail (coord. structure)|Code Département (structure)|Libellé Département (structure)|"
    "Ancien identifiant de la structure|Autorité d'enregistrement|Code secteur d'activité|Libellé secteur d'activité|"
    "Code section tableau pharmaciens|Libellé section tableau pharmaciens|Code rôle|Libellé rôle|Code genre activité|"
    "Libellé genre activité|"
)
OLD_HEADER = HEADER.split("Code rôle")[0].replace("civilité d'exercice", "civilité exercice")


def rpps() -> str:
    body = f"{uuid4().int % 10**10:010d}"
    return body + luhn.calc_check_digit(body)


def finess() -> str:
    body = f"29{uuid4().int % 10**6:06d}"
    return body + luhn.calc_check_digit(body)


def line(number: str, **said: str) -> str:
    """A line of the current edition; fields by a word of their header."""
    titles = HEADER.removesuffix("|").split("|")
    fields = dict.fromkeys(titles, "")
    fields |= {
        "Type d'identifiant PP": "8", "Identifiant PP": number, "Identification nationale PP": f"8{number}",
        "Code civilité d'exercice": "DR", "Nom d'exercice": "KERVELLA", "Prénom d'exercice": "Élodie",
        "Code profession": "10", "Code catégorie professionnelle": "C", "Code type savoir-faire": "S",
        "Code savoir-faire": "SM54", "Code mode exercice": "L", "Raison sociale site": "CABINET EXEMPLE",
        "Numéro Voie (coord. structure)": "12", "Code type de voie (coord. structure)": "R",
        "Libellé Voie (coord. structure)": "DES EXEMPLES", "Bureau cedex (coord. structure)": "29000 QUIMPER",
        "Code postal (coord. structure)": "29000", "Code commune (coord. structure)": "29232",
        "Libellé commune (coord. structure)": "Quimper", "Téléphone (coord. structure)": "0200000000",
        "Code secteur d'activité": "SA07", "Code rôle": "FON-01", "Code genre activité": "GENR01",
        "Identifiant technique de la structure": f"R{number}001",
    }  # fmt: skip
    for word, value in said.items():
        [title] = [t for t in titles if t.startswith(word.replace("_", " "))]
        fields[title] = value
    return "|".join(fields.values()) + "|"


def old(text: str) -> str:
    """A line as the edition of 2021 has it."""
    return "|".join(text.split("|")[:52]) + "|"


SETTINGS = LoadSettings(load_batch_lines=3, load_batch_resources=2, load_gone_free=0, load_gone_share_max=0.5)


@pytest.fixture
def source_name() -> str:
    """A source of the test's own, so that nothing that others loaded is missing from its files."""
    return unique("source")


async def load(
    directory: Directory,
    source: Source,
    path: Path,
    *,
    whole: bool = True,
    settings: LoadSettings = SETTINGS,
    **said: Any,
) -> Load:
    loading = Loading(directory.database, FixedClock(NOW), BASE, source, settings, **said)
    return await loading.run(path, whole=whole)


async def report(directory: Directory, load: Load) -> list[tuple[int, str, str]]:
    async with directory.database.connection() as connection:
        rows = await kept.refusals(connection, load.id)
    return [(row["line"], row["kind"], row["reason"]) for row in rows]


def annuaire(name: str) -> Annuaire:
    return replace(Annuaire(1 << 20), name=name)


def write(path: Path, *lines: str, encoding: str = "utf-8", start: bytes = b"") -> Path:
    path.write_bytes(start + ("\n".join(lines) + "\n").encode(encoding))
    return path


async def test_an_extraction_of_the_annuaire(directory: Directory, source_name: str, tmp_path: Path) -> None:
    """Two lines about one professional make one Practitioner with two situations, at a practice and at a hospital."""
    one, hospital = rpps(), finess()
    at_hospital = line(
        one, Code_mode="S", Numéro_FINESS_site=hospital, Identifiant_technique=f"F{hospital}", Raison="CH EXEMPLE",
        Code_savoir="SM49",
    )  # fmt: skip
    path = write(tmp_path / "a.txt", HEADER, line(one), at_hospital)
    done = await load(directory, annuaire(source_name), path)
    assert (done.counts["read"], done.counts["refused"], done.counts["created"]) == (2, 0, 7)
    person = (await directory.client.get(f"/fhir/Practitioner/idnps-8{one}")).json()
    assert person["name"] == [{"family": "KERVELLA", "given": ["Élodie"], "prefix": ["DR"]}]
    codes = [coding["code"] for q in person["qualification"] for coding in q["code"]["coding"]]
    assert codes == ["C", "10", "S", "SM49", "S", "SM54"]
    assert await directory.ids("Practitioner", identifier=f"https://rpps.esante.gouv.fr|{one}") == [
        person["id"]
    ]
    roles = await directory.ids("PractitionerRole", practitioner=f"Practitioner/{person['id']}")
    assert len(roles) == 2
    assert await directory.ids(
        "PractitionerRole", practitioner=person["id"], organization=f"finess-{hospital}", specialty="SM49"
    )
    assert f"site-finess-{hospital}" in await directory.ids(
        "Location", near="47.99597|-4.09795|5|km", _count="1000"
    )
    events = await directory.told(f"Practitioner/{person['id']}")
    assert [orjson.loads(event or b"")["resource"]["id"] for event in events] == [person["id"]]


async def test_twice_changes_nothing_and_a_change_is_one_version(
    directory: Directory, source_name: str, tmp_path: Path
) -> None:
    """Idempotent by what the file says; a line that changes makes a new version of what it is about and of nothing else."""
    one, two = rpps(), rpps()
    path = write(tmp_path / "a.txt", HEADER, line(one), line(two))
    await load(directory, annuaire(source_name), path)
    again = await load(directory, annuaire(source_name), path)
    assert (again.counts.get("created", 0), again.counts.get("updated", 0), again.counts["unchanged"]) == (
        0,
        0,
        8,
    )
    path = write(tmp_path / "b.txt", HEADER, line(one, Nom="LE GALL"), line(two))
    changed = await load(directory, annuaire(source_name), path)
    assert (changed.counts.get("created", 0), changed.counts["updated"], changed.counts["unchanged"]) == (
        0,
        1,
        7,
    )
    read = await directory.client.get(f"/fhir/Practitioner/idnps-8{one}")
    assert (read.json()["name"][0]["family"], read.headers["ETag"]) == ("LE GALL", 'W/"2"')
    assert await directory.ids("Practitioner", family="LE GALL", identifier=one) == [f"idnps-8{one}"]
    past = (await directory.client.get(f"/fhir/Practitioner/idnps-8{one}/_history/1")).json()
    assert past["name"][0]["family"] == "KERVELLA"


async def test_the_order_of_lines_says_nothing(
    directory: Directory, source_name: str, tmp_path: Path
) -> None:
    """An extraction is in no order that could be relied on: the same lines in another one make no version."""
    number = rpps()
    lines = [
        line(number),
        line(number, Code_savoir="SM49"),
        line(number, Code_savoir="SM24", Prénom="ELODIE"),
    ]
    await load(directory, annuaire(source_name), write(tmp_path / "1.txt", HEADER, *lines))
    done = await load(directory, annuaire(source_name), write(tmp_path / "2.txt", HEADER, *reversed(lines)))
    assert "updated" not in done.counts
    assert done.counts["unchanged"] == 6


async def test_what_cannot_be_taken_is_reported_with_its_line(
    directory: Directory, source_name: str, tmp_path: Path
) -> None:
    """Columns short or shifted are refused; a lone quote is a character; old encodings, wrong keys and closed codes are
    taken with a remark, and marked."""
    good, wrong_key = rpps(), rpps()
    wrong_key = wrong_key[:-1] + str((int(wrong_key[-1]) + 1) % 10)
    shifted = line(rpps()).split("|")
    shifted.insert(3, "X")
    lines = [
        line(good, Raison='CABINET "LE PHARE', Code_savoir="SP01"),
        "|".join(line(rpps()).split("|")[:-3]),
        "|".join(shifted[:57]),
        line(wrong_key),
        line(rpps(), Code_commune="01059", Code_postal="01000"),
        line(rpps())[:-1] + "without the last pipe",
    ]
    path = write(tmp_path / "a.txt", HEADER, *lines, start=b"\xef\xbb\xbf")
    done = await load(
        directory,
        annuaire(source_name),
        path,
        settings=SETTINGS.model_copy(update={"load_refused_share_max": 1}),
    )
    told = await report(directory, done)
    assert told == [
        (2, "remark", "deprecated-code"),
        (3, "refused", "columns"),
        (4, "refused", "shift"),
        (5, "remark", "key"),
        (6, "remark", "commune"),
    ], told
    person = (await directory.client.get(f"/fhir/Practitioner/idnps-8{good}")).json()
    assert person["meta"]["tag"] == [
        {"system": "https://creneau.sante.fr/fhir/CodeSystem/load-mark", "code": "deprecated-code"}
    ]
    organization = (await directory.client.get(f"/fhir/Organization/rass-R{good}001")).json()
    assert organization["name"] == 'CABINET "LE PHARE'


async def test_older_editions_and_encodings(directory: Directory, source_name: str, tmp_path: Path) -> None:
    """52 columns, other titles, Windows-1252, gzip."""
    number = rpps()
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress("\r\n".join((OLD_HEADER, old(line(number)))).encode("cp1252")))
    done = await load(directory, annuaire(source_name), path)
    assert await report(directory, done) == [(2, "remark", "encoding")]
    person = (await directory.client.get(f"/fhir/Practitioner/idnps-8{number}")).json()
    assert person["name"][0]["given"] == ["Élodie"]


async def test_what_is_missing_is_ended_but_a_truncated_file_ends_nothing(
    directory: Directory, source_name: str, tmp_path: Path
) -> None:
    """Beyond LOAD_GONE_SHARE_MAX the file is not believed; within it, or by --accept-gone, what is missing is inactive; it
    comes back with a file that has it."""
    numbers = [rpps() for _ in range(4)]
    source = annuaire(source_name)
    await load(directory, source, write(tmp_path / "full.txt", HEADER, *map(line, numbers)))
    truncated = write(tmp_path / "cut.txt", HEADER, line(numbers[0]))
    with pytest.raises(LoadRefusedError, match="LOAD_GONE_SHARE_MAX"):
        await load(directory, source, truncated)

    async def active() -> list[bool]:
        return [
            (await directory.client.get(f"/fhir/Practitioner/idnps-8{n}")).json()["active"] for n in numbers
        ]

    assert await active() == [True] * 4
    await load(directory, source, write(tmp_path / "delta.txt", HEADER, line(numbers[1])), whole=False)
    assert await active() == [True] * 4
    done = await load(directory, source, write(tmp_path / "next.txt", HEADER, *map(line, numbers[:3])))
    assert done.counts["ended"] == 4
    assert await active() == [True, True, True, False]
    assert await directory.ids("Practitioner", active="true", identifier=numbers[3]) == []
    await load(directory, source, truncated, accept_gone=True)
    assert await active() == [True, False, False, False]
    await load(directory, source, write(tmp_path / "full.txt", HEADER, *map(line, numbers)))
    assert await active() == [True] * 4


async def test_a_file_that_knows_everything_by_other_names_writes_nothing(
    directory: Directory, source_name: str, tmp_path: Path
) -> None:
    """An edition that tells situations apart otherwise would double each of them before anybody is asked; a refused line of
    which nobody knows what it is about does not change that."""
    numbers = [rpps() for _ in range(4)]
    source, settings = annuaire(source_name), SETTINGS.model_copy(update={"load_gone_share_max": 0.2})
    await load(directory, source, write(tmp_path / "1.txt", HEADER, *map(line, numbers)), settings=settings)
    before = await directory.ids("PractitionerRole", practitioner=f"idnps-8{numbers[0]}")
    other = [line(number, Code_rôle="FON-02") for number in numbers]
    path = write(tmp_path / "2.txt", HEADER, *other, "odd|line|")
    with pytest.raises(LoadRefusedError, match=r"Nothing was written \(LOAD_GONE_SHARE_MAX\)"):
        await load(directory, source, path, settings=settings)
    assert await directory.ids("PractitionerRole", practitioner=f"idnps-8{numbers[0]}") == before
    await load(directory, source, path, settings=settings, accept_gone=True)
    active = {"practitioner": f"idnps-8{numbers[0]}", "active": "true"}
    assert len(await directory.ids("PractitionerRole", **active)) == 1
    assert not set(before) & set(await directory.ids("PractitionerRole", **active))


async def test_a_damaged_file_writes_nothing(directory: Directory, source_name: str, tmp_path: Path) -> None:
    number = rpps()
    path = write(tmp_path / "a.txt", HEADER, line(number), "damaged|line|", "another|", "third|")
    with pytest.raises(LoadRefusedError, match="LOAD_REFUSED_SHARE_MAX"):
        await load(directory, annuaire(source_name), path)
    assert (await directory.client.get(f"/fhir/Practitioner/idnps-8{number}")).status_code == 404
    with pytest.raises(ValueError, match="no header"):
        await load(directory, annuaire(source_name), write(tmp_path / "b.txt", "a;b;c"))


async def test_skills_in_a_file_of_their_own(directory: Directory, source_name: str, tmp_path: Path) -> None:
    """A folder of the extraction's files is loaded as one; the file of skills alone is not believed to be the whole."""
    number, folder = rpps(), tmp_path / "extraction"
    folder.mkdir()
    titles = HEADER.split("|")[:3] + HEADER.split("|")[7:17]
    fields = ["8", number, f"8{number}", "KERVELLA", "Élodie", "10", "", "C", "", "C", "", "C01", ""]
    skills = write(folder / "PS_SavoirFaire.txt", "|".join(titles) + "|", "|".join(fields) + "|")
    diplomas = HEADER.split("|")[:3] + HEADER.split("|")[7:9] + ["Code type diplôme obtenu"]
    write(folder / "PS_Dipl.txt", "|".join(diplomas) + "|", f"8|{number}|8{number}|KERVELLA|Élodie|DE|")
    write(folder / "PS_Personne_activite.txt", HEADER, line(number))
    done = await load(directory, annuaire(source_name), folder)
    assert (done.counts["read"], done.counts["refused"]) == (2, 0)
    person = (await directory.client.get(f"/fhir/Practitioner/idnps-8{number}")).json()
    assert {"SM54", "C01"} <= {c["code"] for q in person["qualification"] for c in q["code"]["coding"]}
    with pytest.raises(ValueError, match="Personne_activite"):
        await load(directory, annuaire(source_name), skills)


class BrokenOffError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("phase", ["reading", "writing"])
async def test_broken_off_it_goes_on(
    directory: Directory, source_name: str, tmp_path: Path, phase: str
) -> None:
    """Broken off after a batch, it is called again and reads only what is left; in the end all is there once. It is the load
    that was begun then."""
    numbers = [rpps() for _ in range(8)]
    path = write(tmp_path / "a.txt", HEADER, *map(line, numbers))

    def stop(now: str, load: Load) -> None:
        if now == phase:
            raise BrokenOffError

    settings = SETTINGS.model_copy(update={"load_progress_s": 0.0})
    with pytest.raises(BrokenOffError):
        await load(directory, annuaire(source_name), path, settings=settings, tell=stop)
    broken_off = await directory.database.pool.fetchval("SELECT now()")
    done = await load(directory, annuaire(source_name), path)
    assert (done.counts["read"], done.counts["created"], done.counts.get("unchanged", 0)) == (8, 32, 0)
    async with directory.database.connection() as connection:
        began = await kept.began_at(connection, done.id)
    assert began is not None
    assert began < broken_off
    for number in numbers:
        assert await directory.ids("Practitioner", identifier=number) == [f"idnps-8{number}"]


async def test_what_is_said_again_is_laid_down_once(
    directory: Directory, source_name: str, tmp_path: Path
) -> None:
    """Each line of a hospital repeats the hospital; 270,000 such fragments of 2,000 structures made a batch of a load take
    fifteen seconds and as much memory as they have bytes."""
    hospital = finess()
    said = [
        line(rpps(), Code_mode="S", Numéro_FINESS_site=hospital, Identifiant_technique=f"F{hospital}")
        for _ in range(7)
    ]
    path = write(tmp_path / "a.txt", HEADER, *said)
    laid: list[int] = []

    async def count(load: Load) -> None:
        async with directory.database.connection() as connection:
            sql = "SELECT count(*) FROM load_fragment WHERE load = $1"
            laid.append(await connection.fetchval(sql, load.id))

    loading = Loading(directory.database, FixedClock(NOW), BASE, annuaire(source_name), SETTINGS)
    write_ = loading._write

    async def counted(load: Load) -> None:
        await count(load)
        await write_(load)

    loading._write = counted  # type: ignore[method-assign]
    done = await loading.run(path, whole=True)
    assert laid == [7 + 7 + 1 + 1]
    assert done.counts["created"] == 16


def test_what_is_gone_is_said_again() -> None:
    """There, gone, and there again: the last word counts."""
    lately = Lately()
    said = [(b"a", False), (b"a", False), (b"b", True), (b"a", False)]
    assert [lately.again(content, gone=gone, merges=True) for content, gone in said] == [
        False,
        True,
        False,
        False,
    ]
    assert not any(lately.again(b"a", gone=False, merges=False) for _ in range(2))


async def test_one_at_a_time(directory: Directory, source_name: str, tmp_path: Path) -> None:
    """A second process that loads from the same source is told so."""
    path = write(tmp_path / "a.txt", HEADER, line(rpps()))
    loading = Loading(directory.database, FixedClock(NOW), BASE, annuaire(source_name), SETTINGS)
    held, done = asyncio.get_running_loop().create_future(), asyncio.Event()
    other = asyncio.create_task(loading._hold(held, done))
    assert await held
    with pytest.raises(SourceBusyError):
        await load(directory, annuaire(source_name), path)
    done.set()
    await other
    assert (await load(directory, annuaire(source_name), path)).counts["read"] == 1


async def test_a_source_that_cannot_be_had_ends_the_load(
    directory: Directory, source_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that refuses at that moment: the load says so, and does not wait for ever."""

    async def refused(*_: object) -> bool:
        raise asyncpg.TooManyConnectionsError

    path = write(tmp_path / "a.txt", HEADER, line(rpps()))
    monkeypatch.setattr(kept, "lock_source", refused)
    with pytest.raises(asyncpg.TooManyConnectionsError):
        await load(directory, annuaire(source_name), path)


async def test_a_load_that_is_alone_no_longer_breaks_off_and_goes_on_later(
    directory: Directory, source_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session by which it keeps others away ends, as with a failover: another load may have begun."""
    path = write(tmp_path / "a.txt", HEADER, *(line(rpps()) for _ in range(5)))
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
        " AND (classid::bigint << 32 | objid::bigint) = hashtextextended('load ' || $1, 0)"
    )
    begun = kept.begun

    async def ending(connection: Connection, source: str, *said: Any, **more: Any) -> Load:
        assert await connection.fetchval(end, source)
        await asyncio.get_running_loop().create_future()
        return await begun(connection, source, *said, **more)

    with monkeypatch.context() as failover:
        failover.setattr(kept, "begun", ending)
        with pytest.raises(NoLongerAloneError):
            await load(directory, annuaire(source_name), path)
    assert (await load(directory, annuaire(source_name), path)).counts["created"] > 0


async def test_an_id_that_somebody_else_creates_at_that_very_moment_is_met_again(
    directory: Directory, source_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The portion is written once more, and what it had counted is counted once."""
    path = write(tmp_path / "a.txt", HEADER, line(rpps()), line(rpps()))
    copy, met = BulkStore._copy, list[str]()

    async def rivalled(self: BulkStore, connection: Connection, context: WriteContext, versions: Any) -> Any:
        if not met:
            met.extend(version.resource["id"] for version in versions)

            async def rival() -> None:
                async with directory.database.transaction() as other:
                    await copy(self, other, context, versions[:1])

            await asyncio.create_task(rival())
        return await copy(self, connection, context, versions)

    monkeypatch.setattr(BulkStore, "_copy", rivalled)
    done = await load(directory, annuaire(source_name), path)
    assert met
    assert done.counts["updated"] == 1
    assert done.counts["read"] == 2
    every = await directory.database.pool.fetchval(
        "SELECT count(*) FROM load_known WHERE source = $1", source_name
    )
    assert done.counts["created"] == every - 1


def structure(number: str, legal: str, **said: str) -> str:
    fields = [
        "structureet", number, legal, "CH EXEMPLE", "CENTRE HOSPITALIER EXEMPLE", "", "", "900", "RTE", "DE PARIS", "", "",
        said.get("commune", "232"), said.get("department", "29"), "FINISTERE", said.get("mail", "29000 QUIMPER"), "0200000000",
        "", said.get("category", "355"), "Centre Hospitalier", "1102", "Centres Hospitaliers", "", "8610Z", "03", "", "1", "",
        "1979-02-13", "1979-02-13", "2020-02-04", "",
    ]  # fmt: skip
    return ";".join(fields)


def finess_source(name: str) -> Finess:
    return replace(Finess(1 << 20, NOW.date()), name=name)


async def test_the_historic_files_of_finess(directory: Directory, source_name: str, tmp_path: Path) -> None:
    """Structures, and positions on lines of their own after them; overseas codes; a closed category is marked."""
    number, legal, overseas = finess(), finess(), finess()
    path = write(
        tmp_path / "etalab.csv",
        "finess;etalab;93;2026-05-04",
        structure(number, legal),
        structure(overseas, legal, department="9D", commune="411", mail="97400 ST DENIS", category="001"),
        "structureet;short",
        f"geolocalisation;{number};172000;6794000;1,ATLASANTE;2026-01-01",
        encoding="latin-1",
    )
    done = await load(
        directory,
        finess_source(source_name),
        path,
        settings=SETTINGS.model_copy(update={"load_refused_share_max": 1}),
    )
    told = await report(directory, done)
    assert (4, "refused", "columns") in told
    assert (3, "remark", "deprecated-code") in told
    organization = (await directory.client.get(f"/fhir/Organization/finess-{number}")).json()
    assert organization["partOf"] == {"reference": f"Organization/finess-{legal}"}
    assert organization["type"][0]["coding"][0]["code"] == "355"
    place = (await directory.client.get(f"/fhir/Location/site-finess-{number}")).json()
    assert place["address"]["extension"][0]["valueCoding"]["code"] == "29232"
    assert "extension" not in place["position"]
    assert 47.5 < place["position"]["latitude"] < 48.6
    far = (await directory.client.get(f"/fhir/Location/site-finess-{overseas}")).json()
    assert far["address"]["extension"][0]["valueCoding"]["code"] == "97411"
    assert far["position"]["latitude"] < -20


def test_positions_of_the_national_grids() -> None:
    """Against points that FINESS gives in both: Bourg-en-Bresse; Saint-Denis within its town."""
    latitude, longitude = lambert93(873766.07, 6570414.61)
    assert (round(latitude, 5), round(longitude, 5)) == (46.21126, 5.2542)
    latitude, longitude = utm(40, south=True)(338_000, 7_690_000)
    assert (round(latitude, 2), round(longitude, 2)) == (-20.88, 55.44)


async def test_finess_plus(directory: Directory, source_name: str, tmp_path: Path) -> None:
    """The JSON form, gzipped: establishments below their legal entity; what is closed is inactive."""
    legal, number, closed = finess(), finess(), finess()
    establishments = [
        {
            "informationsGeneralesEGE": {"numFinessEge": one, "nomEgeCourt": "CLINIQUE", "siret": None,
                                         "dateFermeture": "2026-01-01" if one == closed else None},
            "categorieentiteGeographiqueExercice": "365",
            "adresse": [{"numeroVoie": "62", "typeVoie": "AV", "libelleVoie": "DU MODELE", "cogCommune": "29232",
                         "codePostal": "29000", "ligneAcheminement": "QUIMPER",
                         "coordonneesGeographique": {"coordonneeX": "-4.1", "coordonneeY": "47.99"}}],
            "contact": [{"telecom": {"telephone": "0200000001", "telecopie": None, "courriel": None}}],
            "etatObjet": "A",
        }
        for one in (number, closed)
    ]  # fmt: skip
    entity = {
        "informationsGeneralesPMEJ": {"numFinessPm": legal, "denominationPm": "SOCIETE"},
        "etatObjet": "A",
        "ege": establishments,
    }
    path = tmp_path / "finess-structures.json.gz"
    path.write_bytes(
        gzip.compress(json.dumps({"schemaVersion": "v1.0.0", "gco": [], "pmej": [entity]}).encode())
    )
    await load(directory, finess_source(source_name), path)
    assert await directory.ids("Organization", partof=f"Organization/finess-{legal}", active="true") == [
        f"finess-{number}"
    ]
    place = (await directory.client.get(f"/fhir/Location/site-finess-{number}")).json()
    assert (place["position"]["latitude"], place["telecom"][0]["value"]) == (47.99, "0200000001")
    gone = (await directory.client.get(f"/fhir/Location/site-finess-{closed}")).json()
    assert gone["status"] == "inactive"


async def test_what_a_higher_source_stops_giving_is_the_next_ones_to_say(
    directory: Directory, tmp_path: Path
) -> None:
    """Left to it while it gives it, also as closed; open again by the next load once its whole file has it no more."""
    id_, other = unique("org"), unique("org")
    higher, lower = (replace(FhirFiles(fault_of, 1 << 20), name=name) for name in ("ror", "finess"))
    free = SETTINGS.model_copy(update={"load_gone_free": 10_000})

    async def given(source: FhirFiles, *resources: dict[str, Any]) -> Load:
        return await load(
            directory, source, ndjson(tmp_path / f"{unique('load')}.ndjson", *resources), settings=free
        )

    async def stands() -> tuple[str, bool]:
        found = (await directory.client.get(f"/fhir/Organization/{id_}")).json()
        return found["name"], found["active"]

    said = organization(id_, name="FINESS")
    await given(lower, said)
    await given(higher, organization(id_, name="ROR"), organization(other))
    assert (await given(lower, said)).counts["left to others"] == 1
    assert await stands() == ("ROR", True)
    closed = {**organization(id_, name="ROR"), "active": False}
    await given(higher, closed, organization(other))
    assert (await given(lower, said)).counts["left to others"] == 1
    assert await stands() == ("ROR", False)
    await given(higher, organization(other))
    assert await stands() == ("ROR", False)
    assert "left to others" not in (await given(lower, said)).counts
    assert await stands() == ("FINESS", True)
    assert (await given(lower, said)).counts["unchanged"] == 1


async def test_finess_has_the_last_word_on_its_structures(directory: Directory, tmp_path: Path) -> None:
    """What FINESS gives is not overwritten by what the Annuaire says of the same structure."""
    number, person = finess(), rpps()
    free = SETTINGS.model_copy(update={"load_gone_free": 10_000})
    await load(
        directory,
        Finess(1 << 20, NOW.date()),
        write(tmp_path / "f.csv", "finess;etalab;93;x", structure(number, number)),
        settings=free,
    )
    extraction = line(person, Numéro_FINESS_site=number, Raison="AUTRE NOM")
    done = await load(
        directory, Annuaire(1 << 20), write(tmp_path / "a.txt", HEADER, extraction), settings=free
    )
    assert done.counts["left to others"] == 2
    organization = (await directory.client.get(f"/fhir/Organization/finess-{number}")).json()
    assert organization["name"] == "CENTRE HOSPITALIER EXEMPLE"


@pytest.mark.parametrize("form", ["ndjson", "bundle", "folder"])
async def test_fhir_files(directory: Directory, source_name: str, tmp_path: Path, form: str) -> None:
    """An `$export`, a Bundle, a folder: resources under their own ids, decimals as written; the invalid is refused with its
    reason; an entry that deletes ends."""
    good, wrong = unique("loc"), unique("org")
    resources = [
        {
            "resourceType": "Location",
            "id": good,
            "name": "Lieu",
            "position": {"latitude": orjson.Fragment("48.10"), "longitude": orjson.Fragment("-1.680")},
        },
        {"resourceType": "Organization", "id": wrong, "name": 12},
        {"resourceType": "Patient", "id": "p"},
    ]
    source = replace(FhirFiles(fault_of, 1 << 20), name=source_name)
    settings = SETTINGS.model_copy(update={"load_refused_share_max": 1})
    if form == "bundle":
        path = tmp_path / "bundle.json"
        entries = [{"resource": one} for one in resources]
        path.write_bytes(
            orjson.dumps(
                {"resourceType": "Bundle", "type": "collection", "entry": entries}, option=orjson.OPT_INDENT_2
            )
        )
    else:
        path = tmp_path / "Location.ndjson"
        path.write_bytes(b"\n".join(map(orjson.dumps, resources)))
        path = tmp_path if form == "folder" else path
    done = await load(directory, source, path, settings=settings)
    assert await report(directory, done) == [(2, "refused", "invalid"), (3, "refused", "type")]
    read = (await directory.client.get(f"/fhir/Location/{good}")).content
    assert b'"latitude":48.10,"longitude":-1.680' in read
    gone = tmp_path / "delta.json"
    request = {"method": "DELETE", "url": f"Location/{good}"}
    gone.write_bytes(
        orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [{"request": request}]})
    )
    await load(directory, source, gone, whole=False)
    assert (await directory.client.get(f"/fhir/Location/{good}")).json()["status"] == "inactive"


def test_a_page_without_entries_is_a_whole_file(tmp_path: Path) -> None:
    """A search that found nothing answers a Bundle without `entry`; one that breaks off before its entries is none."""
    reader, page = FhirFiles(fault_of, 1 << 20), tmp_path / "page.json"
    page.write_text(json.dumps({"resourceType": "Bundle", "type": "searchset", "total": 0}, indent=1))
    assert list(reader.lines(page)) == []
    page.write_text('{"resourceType": "Bundle", "type": "searchset", "ent')
    [broken] = reader.lines(page)
    assert [piece.breaks_off for piece in broken.pieces if isinstance(piece, Refused)] == [True]


def organization(id_: str, **said: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": id_, "active": True, "name": "Centre", **said}


def ndjson(path: Path, *resources: Any) -> Path:
    path.write_bytes(b"\n".join(one if isinstance(one, bytes) else orjson.dumps(one) for one in resources))
    return path


TRUSTING = SETTINGS.model_copy(update={"load_refused_share_max": 1, "load_gone_share_max": 1})


async def test_what_a_file_holds_and_is_refused_is_not_missing(
    directory: Directory, source_name: str, tmp_path: Path
) -> None:
    """An entry whose new version has a fault is still there: it keeps its former one, and is ended by no load."""
    source = replace(FhirFiles(fault_of, 1 << 20), name=source_name)
    kept_, wrong, gone = unique("org"), unique("org"), unique("org")
    everything = ndjson(tmp_path / "1.ndjson", *(organization(one) for one in (kept_, wrong, gone)))
    await load(directory, source, everything, settings=TRUSTING)
    faulty = ndjson(
        tmp_path / "2.ndjson",
        organization(kept_),
        organization(wrong, name=12),
        {"resourceType": "Patient", "id": "p"},
    )
    done = await load(directory, source, faulty, settings=TRUSTING)
    assert (done.counts["refused"], done.counts["ended"]) == (2, 1)

    async def active(one: str) -> bool:
        return bool((await directory.client.get(f"/fhir/Organization/{one}")).json()["active"])

    assert [await active(one) for one in (kept_, wrong, gone)] == [True, True, False]


async def somebody_waits(directory: Directory) -> None:
    """Until a statement waits for somebody else's lock."""
    waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    async with asyncio.timeout(60):
        while not await directory.database.pool.fetchval(waiting):
            pass


@pytest.mark.parametrize("how", ["missing from a whole file", "deleted by a file of changes"])
async def test_what_is_ended_keeps_what_somebody_has_just_said_of_it(
    directory: Directory, source_name: str, tmp_path: Path, how: str
) -> None:
    """A load ends what is there, not what it read before somebody's change had committed."""
    source = replace(FhirFiles(fault_of, 1 << 20), name=source_name)
    kept_, gone = unique("org"), unique("org")
    await load(
        directory,
        source,
        ndjson(tmp_path / "1.ndjson", organization(kept_), organization(gone)),
        settings=TRUSTING,
    )
    whole = how.startswith("missing")
    if whole:
        path = ndjson(tmp_path / "2.ndjson", organization(kept_))
    else:
        path = tmp_path / "delta.json"
        request = {"method": "DELETE", "url": f"Organization/{gone}"}
        path.write_bytes(
            orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [{"request": request}]})
        )
    async with directory.database.pool.acquire() as writer:
        async with writer.transaction():
            context = WriteContext(now=NOW, subject="practice")
            store = BulkStore("Organization", BASE, indexed)
            await store.write(writer, context, [organization(gone, name="Nouveau nom")])
            ending = asyncio.create_task(load(directory, source, path, whole=whole, settings=TRUSTING))
            await somebody_waits(directory)
        await ending
    read = (await directory.client.get(f"/fhir/Organization/{gone}")).json()
    assert (read["name"], read["active"]) == ("Nouveau nom", False)


@pytest.mark.parametrize("known", [True, False])
async def test_who_has_the_last_word_has_it_over_who_loads_at_the_same_time(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Of a structure that FINESS gives the Annuaire says nothing more, also where FINESS has not committed yet; both come to
    their end."""
    id_ = unique("org")
    first, second = (replace(FhirFiles(fault_of, 1 << 20), name=name) for name in ("finess", "annuaire"))
    if known:
        await load(directory, second, ndjson(tmp_path / "0.ndjson", organization(id_)), whole=False)
    written, go_on = asyncio.Event(), asyncio.Event()

    async def slow(connection: Connection, events: Sequence[Event]) -> None:
        await append(connection, events)
        if not written.is_set():
            written.set()
            await go_on.wait()

    monkeypatch.setattr(runner, "append", slow)
    files = [
        ndjson(tmp_path / f"{name}.ndjson", organization(id_, name=name)) for name in ("FINESS", "Annuaire")
    ]
    finess_ = asyncio.create_task(load(directory, first, files[0], whole=False))
    await written.wait()
    annuaire_ = asyncio.create_task(load(directory, second, files[1], whole=False))
    await somebody_waits(directory)
    go_on.set()
    await finess_
    done = await annuaire_
    assert done.counts["left to others"] == 1
    assert (await directory.client.get(f"/fhir/Organization/{id_}")).json()["name"] == "FINESS"


@pytest.mark.parametrize(
    "unread", [b'{"resourceType":"Organization","id":"', {"resourceType": "Organization"}]
)
async def test_nothing_is_ended_while_a_refused_line_may_have_been_it(
    directory: Directory, source_name: str, tmp_path: Path, unread: Any
) -> None:
    """Which entry a broken line tells of nobody knows: the report says that nothing was ended, until the file is whole or
    somebody believes it."""
    source = replace(FhirFiles(fault_of, 1 << 20), name=source_name)
    here, elsewhere = unique("org"), unique("org")
    await load(
        directory,
        source,
        ndjson(tmp_path / "1.ndjson", organization(here), organization(elsewhere)),
        settings=TRUSTING,
    )
    odd = ndjson(tmp_path / "2.ndjson", organization(here), unread, {"resourceType": "Patient", "id": "p"})
    done = await load(directory, source, odd, settings=TRUSTING)
    assert "ended" not in done.counts
    assert (3, "remark", "nothing-ended") in await report(directory, done)
    assert (await directory.client.get(f"/fhir/Organization/{elsewhere}")).json()["active"]
    done = await load(directory, source, odd, settings=TRUSTING, accept_gone=True)
    assert done.counts["ended"] == 1


@pytest.mark.parametrize("kind", ["fhir", "finess"])
async def test_a_file_that_breaks_off_is_no_whole_file(
    directory: Directory, source_name: str, tmp_path: Path, kind: str
) -> None:
    """Behind the place where it breaks off there may be anything: nothing is written and nothing is ended, whatever is
    believed; as a delta it is what it has."""
    if kind == "fhir":
        source: Source = replace(FhirFiles(fault_of, 1 << 20), name=source_name)
        ids = [unique("org") for _ in range(4)]
        elements: list[Any] = [{"resource": organization(one)} for one in ids]
        whole = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": elements})
    else:
        source, numbers = finess_source(source_name), [finess() for _ in range(4)]
        ids = [f"finess-{one}" for one in numbers]
        elements = [{"informationsGeneralesPMEJ": {"numFinessPm": one}, "etatObjet": "A"} for one in numbers]
        whole = json.dumps({"pmej": elements})
    path = tmp_path / "whole.json"
    path.write_text(whole)
    await load(directory, source, path, settings=TRUSTING)
    cut = tmp_path / "cut.json"
    cut.write_text(whole[: whole.index(ids[2].removeprefix("finess-")) + 3])
    with pytest.raises(LoadRefusedError, match="breaks off"):
        await load(directory, source, cut, settings=TRUSTING, accept_gone=True)
    for one in ids:
        assert (await directory.client.get(f"/fhir/Organization/{one}")).json()["active"]
    done = await load(directory, source, cut, settings=TRUSTING, whole=False)
    assert (done.counts["unchanged"], done.counts["refused"]) == (2, 1)


async def test_a_pack_that_breaks_off_is_not_believed(
    directory: Directory, source_name: str, tmp_path: Path
) -> None:
    """Of half a download nothing is written, and the reason is a sentence."""
    packed = gzip.compress("\n".join((HEADER, *(line(rpps()) for _ in range(50)))).encode())
    path = tmp_path / "a.txt.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match="breaks off"):
        await load(directory, annuaire(source_name), path)


async def test_a_position_alone_makes_no_place(
    directory: Directory, source_name: str, tmp_path: Path
) -> None:
    """The line of a structure is refused, that of its position is not: the place stays what it was, and is not ended; one
    that never was there does not come to be."""
    number, other, never = finess(), finess(), finess()
    source, head = finess_source(source_name), "finess;etalab;93;x"
    position = [f"geolocalisation;{one};172000;6794000;1,ATLASANTE;x" for one in (number, other, never)]
    whole = write(tmp_path / "1.csv", head, structure(number, number), structure(other, other), *position[:2])
    await load(directory, source, whole, settings=TRUSTING)
    before = (await directory.client.get(f"/fhir/Location/site-finess-{number}")).json()
    faulty = structure(number, number).replace("DE PARIS", "DE PARIS;BATIMENT B")
    done = await load(
        directory,
        source,
        write(tmp_path / "2.csv", head, faulty, structure(other, other), *position),
        settings=TRUSTING,
    )
    place = (await directory.client.get(f"/fhir/Location/site-finess-{number}")).json()
    assert place == before
    assert (await directory.client.get(f"/fhir/Organization/finess-{number}")).json()["active"]
    assert (await directory.client.get(f"/fhir/Location/site-finess-{never}")).status_code == 404
    told = await report(directory, done)
    assert [one for one in told if one[1] == "refused"] == [
        (2, "refused", "columns"),
        (4, "refused", "incomplete"),
        (6, "refused", "incomplete"),
    ]


def test_records_of_a_long_array(tmp_path: Path) -> None:
    """One by one, however long the elements; a file that breaks off is told after what it had."""
    path = tmp_path / "a.json"
    elements = [{"n": n, "text": "é" * (n % 7) * 20_000} for n in range(40)]
    text = json.dumps({"head": {"pmejx": [1]}, "pmej": elements}, ensure_ascii=False).encode()
    path.write_bytes(text)
    with path.open("rb") as file:
        assert list(records(file, "pmej", 1 << 24)) == elements
    path.write_bytes(text[: len(text) // 2])
    seen: list[Any] = []
    with path.open("rb") as file:
        found = records(file, "pmej", 1 << 24)
        with pytest.raises(BrokenArrayError):
            seen.extend(found)
    assert seen == elements[: len(seen)]
    assert seen
