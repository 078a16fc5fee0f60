"""Files of FINESS that are not as they should be: each odd record is named, and the others are read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from creneau_directory.loading.finess import Finess
from creneau_directory.loading.pieces import Fragment, Piece, Refused

READER = Finess(1 << 20, date(2026, 11, 28))
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


ABYMES, REUNION, MAYOTTE = ("657242.9", "1795384.4"), ("323086.6", "7679599.8"), ("524819.9", "8587194.7")
GUIANA, BOURG = ("353672.8", "544349.1"), ("870262.2", "6571540.8")


@pytest.mark.parametrize(
    ("number", "metres", "source", "degrees"),
    [
        ("010000024", BOURG, "1,ATLASANTE,96,BAN,EPSG:2154 RGF93 / Lambert-93 (Métropole)", (46.22229, 5.20918)),
        ("970100012", ABYMES, "2,ATLASANTE,96,BAN,EPSG:5490 RGAF09/UTM Zone 20N (Antilles)", (16.234, -61.52874)),
        ("970100012", ABYMES, "1,ATLASANTE,100,IGN,BD_ADRESSE,V2.1,UTM_N20", (16.234, -61.52874)),
        ("970100012", ABYMES, "", (16.234, -61.52874)),
        ("970200012", ABYMES, "", (16.234, -61.52874)),
        ("970300012", GUIANA, "1,ATLASANTE", (4.92347, -52.31973)),
        ("970400012", REUNION, "1,ATLASANTE", (-20.97571, 55.29821)),
        ("970400012", REUNION, "EPSG:2975 RGR92/UTM Zone 40S (La Réunion)", (-20.97571, 55.29821)),
        ("980500012", MAYOTTE, "1,ATLASANTE", (-12.77989, 45.22868)),
        ("980500012", MAYOTTE, "2,ATLASANTE,100,BDADRESSE,EPSG:4471 RGM04/UTM zone 38S (Mayotte)", (-12.77989, 45.22868)),
        ("970500012", ("559000", "5181000"), "2,ATLASANTE,90,BAN,WGS84/UTM zone 21N (St-Pierre-et-Miquelon)", (46.78, -56.23)),
        ("970500012", ("559000", "5181000"), "", (46.78, -56.23)),
        ("970700012", ABYMES, "1,ATLASANTE", None),
        ("980800012", MAYOTTE, "1,ATLASANTE", None),
        ("970100012", ABYMES, "EPSG:4326 WGS 84", None),
        ("010000024", ("nan", "nan"), "", None),
        ("970100012", ("1e300", "1e300"), "", None),
    ],
)  # fmt: skip
def test_a_position_is_read_in_the_projection_that_its_line_names_or_its_number_implies(
    tmp_path: Path, number: str, metres: tuple[str, str], source: str, degrees: tuple[float, float] | None
) -> None:
    """Overseas numbers begin with 9701 to 9705 and 9805; who names no projection and has another number is nowhere
    rather than at sea."""
    path = tmp_path / "etalab.csv"
    path.write_text(
        f"finess;etalab;96;2026-05-04\ngeolocalisation;{number};{';'.join(metres)};{source};2026-05-04\n",
        "utf-8",
    )
    [piece] = [piece for line in READER.lines(path) for piece in line.pieces]
    if degrees is None:
        assert isinstance(piece, Refused)
        assert piece.reason == "position"
        return
    assert isinstance(piece, Fragment)
    at = piece.resource["position"]
    assert (at["latitude"], at["longitude"]) == pytest.approx(degrees, abs=0.005)


DOCUMENTED = (
    "nofinesset;nofinessej;rs;rslongue;complrs;compldistrib;numvoie;typvoie;voie;compvoie;lieuditbp;region;libregion;"
    "departement;libdepartement;cog;codepostal;libelle_routage;ligneacheminement;telephone;telecopie;categetab;"
    "libcategetab;liblongcategetab;categretab;libcategretab;siret;codeape;libcodeape;mft;libmft;liblongmft;sph;libsph;"
    "numen;coordx;coordy;sourcegeocod;dategeocod;dateautor;dateouvert;datemaj"
)


def test_the_documented_file_with_a_header_is_read(tmp_path: Path) -> None:
    """Its 42 columns have the whole code of the commune (`cog`) instead of its three digits, and the coordinates."""
    said = {
        "nofinesset": "970100012", "nofinessej": "970100020", "rs": "CLINIQUE", "departement": "9A", "cog": "97101",
        "codepostal": "97139", "libelle_routage": "LES ABYMES", "ligneacheminement": "97139 LES ABYMES", "categetab": "365",
        "coordx": ABYMES[0], "coordy": ABYMES[1], "sourcegeocod": "EPSG:5490 RGAF09/UTM Zone 20N",
    }  # fmt: skip
    path = tmp_path / "own.csv"
    line = ";".join(said.get(title, "") for title in DOCUMENTED.split(";"))
    path.write_text(f"{DOCUMENTED}\n{line}\n", "utf-8")
    [place] = [
        piece.resource
        for one in READER.lines(path)
        for piece in one.pieces
        if isinstance(piece, Fragment) and piece.resource["resourceType"] == "Location"
    ]
    assert place["address"]["extension"][0]["valueCoding"]["code"] == "97101"
    assert place["address"]["postalCode"] == "97139"
    assert place["position"]["latitude"] == pytest.approx(16.234, abs=0.001)


@pytest.mark.parametrize("title", ["cog", "siret", "nofinessej"])
def test_a_file_with_a_header_that_says_no_commune_is_refused(tmp_path: Path, title: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(DOCUMENTED.replace(f";{title};", ";") + "\n", "utf-8")
    with pytest.raises(ValueError, match=f"no column .*{'commune' if title == 'cog' else title}"):
        list(READER.lines(path))


@pytest.mark.parametrize(
    ("closes", "open_"),
    [
        (None, True),
        ("", True),
        ("2026-11-29", True),
        ("2027-01-01T00:00:00", True),
        ("2026-11-28", False),
        ("1999-01-01", False),
        ("yes", False),
    ],
)
def test_a_structure_is_open_until_the_day_on_which_it_closes(
    tmp_path: Path, closes: str | None, open_: bool
) -> None:
    """FINESS says months before which pharmacy will close: until then it is one."""
    said = {"numFinessPm": "350000030", "dateFermeture": closes}
    here = {
        "informationsGeneralesEGE": {"numFinessEge": "350000022", "dateFermeture": closes},
        "etatObjet": "A",
    }
    pieces = read(
        tmp_path / "finess.json", {"informationsGeneralesPMEJ": said, "etatObjet": "A", "ege": [here]}
    )
    organizations = [piece for piece in pieces if isinstance(piece, Fragment) and "active" in piece.resource]
    assert [(piece.resource["active"], piece.gone) for piece in organizations] == [(open_, not open_)] * 2


def test_characters_that_no_text_may_have_are_taken_out(tmp_path: Path) -> None:
    """A NUL or half a character, which a database refuses: it would be the end of the whole file."""
    said = {"numFinessPm": "350000030", "denominationPm": "CLI\0NI\ud800QUE\x85"}
    [piece] = read(tmp_path / "finess.json", {"informationsGeneralesPMEJ": said, "etatObjet": "A"})
    assert isinstance(piece, Fragment)
    assert piece.resource["name"] == "CLINIQUE"


def test_a_folder_is_no_file_of_finess(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder"):
        list(READER.lines(tmp_path))
