"""Files of the Annuaire Santé that are not as they should be, read without a database."""

from __future__ import annotations

from pathlib import Path

import pytest
from services.directory.tests.test_loading import HEADER, OLD_HEADER, annuaire, line, old, rpps, write

from creneau_directory.domain.care.situation import term_of
from creneau_directory.domain.care.vocabulary import vocabulary
from creneau_directory.loading.pieces import Fragment, Remark
from creneau_directory.loading.runner import fingerprint_of

READER = annuaire("annuaire")


@pytest.mark.parametrize(
    "title",
    [
        "Code profession",
        "Code type savoir-faire",
        "Code savoir-faire",
        "Code mode exercice",
        "Code rôle",
        "Code genre activité",
        "Identifiant technique de la structure",
        "Ancien identifiant de la structure",
        "Numéro FINESS site",
        "Numéro SIRET site",
        "Code postal (coord. structure)",
        "Code commune (coord. structure)",
    ],
)
def test_a_column_by_which_entries_are_known_is_not_missed_in_silence(tmp_path: Path, title: str) -> None:
    """Its header has another name: every situation would be a new one, and nobody would know it from the one before."""
    header = HEADER.replace(f"{title}|", "Intitulé nouveau|", 1)
    assert header != HEADER
    path = write(tmp_path / "a.txt", header, line(rpps()))
    with pytest.raises(ValueError, match="missing"):
        list(READER.lines(path))
    with pytest.raises(ValueError, match="missing"):
        list(READER.lines(path.parent))


def test_the_edition_of_52_columns_has_neither_role_nor_kind_of_activity(tmp_path: Path) -> None:
    [read] = READER.lines(write(tmp_path / "a.txt", OLD_HEADER, old(line(rpps()))))
    assert len(read.pieces) == 4


@pytest.mark.parametrize(
    ("code", "care"),
    [
        ("40", "chirurgie-dentaire"),
        ("71", "osteopathie"),
        ("73", "chiropraxie"),
        ("72", "psychotherapie"),
        ("93", "psychologie"),
        ("41", "assistance-sociale"),
        ("97", "conseil-genetique"),
    ],
)
def test_a_profession_is_written_in_its_own_nomenclature(tmp_path: Path, code: str, care: str) -> None:
    """The file's column holds codes of five; who searches for an osteopath finds those whom the file has."""
    said = line(rpps(), Code_profession=code, Code_type_savoir="", Code_savoir="")
    [read] = READER.lines(write(tmp_path / "a.txt", HEADER, said))
    person, *_, role = (piece.resource for piece in read.pieces if isinstance(piece, Fragment))
    for codes in (person["qualification"][0]["code"]["coding"][-1], role["code"][0]["coding"][0]):
        assert term_of(codes["system"], codes["code"]) in vocabulary().cares[care].codes
        assert codes["display"]
    assert not any(isinstance(piece, Remark) for piece in read.pieces), "none is a closed code"


def test_a_profession_that_no_nomenclature_has_is_marked(tmp_path: Path) -> None:
    [read] = READER.lines(write(tmp_path / "a.txt", HEADER, line(rpps(), Code_profession="88")))
    assert Remark("deprecated-code", "TRE-G15-ProfessionSante#88") in read.pieces


def test_characters_that_no_text_may_have_are_taken_out(tmp_path: Path) -> None:
    """A NUL in a name, which a database refuses: it would be the end of the whole file."""
    path = write(tmp_path / "a.txt", HEADER, line(rpps(), Nom="KER\0VE\x1fLLA"))
    [read] = READER.lines(path)
    [person, *_] = (piece.resource for piece in read.pieces if isinstance(piece, Fragment))
    assert person["name"][0]["family"] == "KERVELLA"


def test_a_folder_within_the_folder_is_not_read(tmp_path: Path) -> None:
    """As packers of another system leave it."""
    write(tmp_path / "PS_Personne_activite.txt", HEADER, line(rpps()))
    before = fingerprint_of(tmp_path)
    (tmp_path / "__MACOSX").mkdir()
    assert len(list(READER.lines(tmp_path))) == 1
    assert fingerprint_of(tmp_path) == before
