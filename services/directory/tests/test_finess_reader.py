"""Files of FINESS that are not as they should be: each odd record is named, and the others are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from creneau_directory.loading.finess import Finess
from creneau_directory.loading.pieces import Fragment, Piece, Refused

READER = Finess(1 << 20)
ENTITY: dict[str, Any] = {"informationsGeneralesPMEJ": {"numFinessPm": "350000030"}, "etatObjet": "A"}
ESTABLISHMENT: dict[str, Any] = {"informationsGeneralesEGE": {"numFinessEge": "350000022"}, "etatObjet": "A"}


def read(path: Path, *entities: Any) -> list[Piece]:
    path.write_text(json.dumps({"pmej": list(entities)}), "utf-8")
    return [piece for line in READER.lines(path) for piece in line.pieces]


def ids(pieces: list[Piece]) -> list[str]:
    return [piece.resource["id"] for piece in pieces if isinstance(piece, Fragment)]


@pytest.mark.parametrize("start", ["\ufeff", "\r\n", "\t", "\ufeff \r\n\t", "\n\n"])
def test_what_stands_before_the_first_brace_does_not_matter(tmp_path: Path, start: str) -> None:
    """A byte order mark or blanks, as other systems write them: the file is JSON, and read whole."""
    path = tmp_path / "finess.json"
    path.write_bytes((start + json.dumps({"pmej": [ENTITY]})).encode())
    pieces = [piece for line in READER.lines(path) for piece in line.pieces]
    assert ids(pieces) == ["finess-350000030"]


@pytest.mark.parametrize(
    ("odd", "refused"),
    [
        (None, 1),
        ("350000030", 1),
        ({**ENTITY, "ege": [None]}, 1),
        ({**ENTITY, "ege": [{**ESTABLISHMENT, "contact": [None]}]}, 0),
        ({**ENTITY, "ege": [{**ESTABLISHMENT, "adresse": {"codePostal": "35000"}}]}, 0),
        ({**ENTITY, "informationsGeneralesPMEJ": "none"}, 1),
    ],
)
def test_an_odd_record_is_named_and_those_behind_it_are_read(tmp_path: Path, odd: Any, refused: int) -> None:
    last = {**ENTITY, "informationsGeneralesPMEJ": {"numFinessPm": "350000048"}}
    pieces = read(tmp_path / "finess.json", odd, last)
    assert sum(isinstance(piece, Refused) for piece in pieces) == refused
    assert ids(pieces)[-1] == "finess-350000048"


@pytest.mark.parametrize(
    "where", [("NaN", "NaN"), ("6789012", "352000"), ("0", "0"), ("inf", "1"), (None, None)]
)
def test_a_position_that_is_on_no_map_is_none(tmp_path: Path, where: tuple[Any, Any]) -> None:
    placed = {"coordonneesGeographique": {"coordonneeY": where[0], "coordonneeX": where[1]}}
    entity = {**ENTITY, "ege": [{**ESTABLISHMENT, "adresse": [placed]}]}
    [place] = [
        piece.resource
        for piece in read(tmp_path / "finess.json", entity)
        if isinstance(piece, Fragment) and piece.resource["resourceType"] == "Location"
    ]
    assert "position" not in place


def test_a_header_that_lacks_columns_is_told_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("nofinesset;nofinessej;rs\n350000022;350000030;CLINIQUE\n", "utf-8")
    with pytest.raises(ValueError, match="no column categetab, commune"):
        list(READER.lines(path))
