"""Files of the Annuaire Santé that are not as they should be, read without a database."""

from __future__ import annotations

from pathlib import Path

import pytest
from services.directory.tests.test_loading import HEADER, OLD_HEADER, annuaire, line, old, rpps, write

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
