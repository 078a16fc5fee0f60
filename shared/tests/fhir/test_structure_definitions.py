"""The StructureDefinitions that are served: valid, readable by others, and the same truth that checks are made of."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.structuredefinition import StructureDefinition
from tests.fixtures.source import parsed

from creneau_shared.fhir.definitions import type_definition
from creneau_shared.fhir.profiles import SUPPORTED, profiles_of
from creneau_shared.fhir.profiles.catalogue import profile_catalogue
from creneau_shared.fhir.structure_definitions import structure_definitions
from creneau_shared.fhir.structure_definitions.base import base_definition
from creneau_shared.fhir.validation import validate
from creneau_shared.type_table import TYPES

ROOT = Path(__file__).parents[3]
OFFICIAL = ROOT.parent / "shared" / "fhir"
OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"

DEFINITIONS: Mapping[str, dict[str, Any]] = {
    definition["url"]: definition for definition in structure_definitions(tuple(sorted(TYPES)))
}


def elements(definition: dict[str, Any], view: str = "snapshot") -> dict[str, dict[str, Any]]:
    return {element["id"]: element for element in definition[view]["element"]}


def test_every_definition_is_valid_r4_and_read_by_the_models_of_r4b() -> None:
    for url, definition in DEFINITIONS.items():
        assert [issue.en for issue in validate(definition)] == [], url
        StructureDefinition.model_validate(definition)


def test_ids_are_the_definitions_own() -> None:
    ids = [definition["id"] for definition in DEFINITIONS.values()]
    assert len(ids) == len(set(ids))


def test_every_type_served_has_its_definition() -> None:
    for name in (*TYPES, "Reference", "CodeableConcept", "Timing", "Extension"):
        assert f"http://hl7.org/fhir/StructureDefinition/{name}" in DEFINITIONS


def test_every_profile_that_is_checked_has_its_definition() -> None:
    assert set(DEFINITIONS) >= SUPPORTED
    claimed = {url for name in TYPES for url in profiles_of(name)}
    assert claimed == SUPPORTED, "and belongs to a type that is served"


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_base_definition_has_what_validation_asks_for(name: str) -> None:
    """Cardinality, types and targets of the first level, from the table that the validator walks."""
    known = elements(base_definition(name))
    for element in type_definition(name).elements:
        row = known[f"{name}.{element.choice}[x]" if element.choice else f"{name}.{element.name}"]
        if element.choice is None:
            assert row["min"] == element.min
            assert row["max"] == ("*" if element.is_list else "1")
        if element.type == "Reference" and element.targets:
            targets = {t.rsplit("/", 1)[-1] for part in row["type"] for t in part.get("targetProfile", ())}
            assert set(element.targets) <= targets
        assert row.get("isModifier", False) is element.modifier


def test_backbone_elements_stand_inside_their_resource() -> None:
    known = elements(base_definition("Appointment"))
    assert known["Appointment.participant.status"]["min"] == 1
    assert known["Appointment.participant.status"]["binding"]["strength"] == "required"
    assert {rule["key"] for rule in known["Appointment.participant"]["constraint"]} >= {"app-1"}
    assert {rule["key"] for rule in known["Appointment"]["constraint"]} >= {"app-2", "app-3", "app-4"}


def test_a_backbone_that_is_used_again_is_referred_to() -> None:
    known = elements(base_definition("Provenance"))
    assert known["Provenance.entity.agent"]["contentReference"] == "#Provenance.agent"


def test_a_differential_is_laid_over_its_snapshot() -> None:
    """Whatever a differential says of an element, the snapshot says it too."""
    for url, definition in DEFINITIONS.items():
        whole = elements(definition)
        for id_, change in elements(definition, "differential").items():
            for name, value in change.items():
                assert whole[id_][name] == value, (url, id_, name)


def test_a_slice_has_the_elements_of_what_it_slices() -> None:
    known = elements(DEFINITIONS["https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient"])
    used = known["Patient.identifier:NSS-NIR.use"]
    assert (used["min"], used["path"], used["patternCode"]) == (1, "Patient.identifier.use", "official")
    assert "Patient.identifier:NSS-NIR.assigner" in known
    ids = list(known)
    assert ids.index("Patient.identifier:NSS-NIR.use") < ids.index("Patient.active"), "in their place"


def test_the_publisher_is_not_mistaken() -> None:
    """Ours is what is generated here; a profile keeps its publisher, and says who is to be believed."""
    for url, definition in DEFINITIONS.items():
        if url.startswith(OWN):
            assert definition["publisher"] == "Créneau"
        else:
            assert "foi" in definition["description"]
            assert "counts" in definition["description"]


# --- Our own extensions ---------------------------------------------------------------------------


def texts(module: ast.Module) -> Iterator[str]:
    """Every string of a module, sums and f-strings of its constants put together."""
    known: dict[str, str] = {}

    def value(node: ast.expr) -> str | None:
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id=name):
                return known.get(name)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                first, second = value(left), value(right)
                return None if first is None or second is None else first + second
            case ast.JoinedStr(values=parts):
                said = [value(p.value if isinstance(p, ast.FormattedValue) else p) for p in parts]
                return "".join(part or "" for part in said)
        return None

    for node in ast.walk(module):
        targets, given = (
            ([node.target], node.value)
            if isinstance(node, ast.AnnAssign)
            else (node.targets, node.value)
            if isinstance(node, ast.Assign)
            else ([], None)
        )
        if given is not None and (text := value(given)) is not None:
            known.update({target.id: text for target in targets if isinstance(target, ast.Name)})
    for node in ast.walk(module):
        if isinstance(node, ast.expr) and (text := value(node)) is not None:
            yield text


def own_extensions() -> set[str]:
    found: set[str] = set()
    for folder in ("shared/src", "services"):
        for path in (ROOT / folder).rglob("src/**/*.py" if folder == "services" else "*.py"):
            for text in texts(parsed(path.read_text())):
                for part in text.split(OWN)[1:]:
                    name = re.split(r"['\"|]", part)[0].strip()
                    if name:
                        found.add(OWN + name)
    return found


def test_every_extension_of_ours_has_its_definition() -> None:
    """Whatever the product writes or reads under its own canonical can be looked up."""
    used = own_extensions()
    assert OWN + "held-until" in used, "the extensions were found in the source"
    assert used <= set(DEFINITIONS)
    assert {url for url in DEFINITIONS if url.startswith(OWN)} <= used, (
        "and none is defined that nothing uses"
    )


# --- The official definitions ---------------------------------------------------------------------

NOT_HELD = {
    # The bases of these slices are HL7 extensions (patient-birthPlace), whose definitions are not held here.
    "Patient.extension:birthPlace.extension",
    "Patient.extension:birthPlace.value[x]",
    # The official snapshots do not walk into fr-core-human-name, whose prefix is 0..1.
    "Patient.name:officialName.prefix",
    "Patient.name:usualName.prefix",
}


@pytest.mark.official
@pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"the official definitions are not at {OFFICIAL}")
def test_snapshots_have_the_cardinalities_of_the_official_ones() -> None:
    """Made by another tool from the same differentials: minima and maxima of every element that both have."""
    compared = 0
    for path in sorted(OFFICIAL.glob("*/definitions/StructureDefinition-*.json")):
        official = json.loads(path.read_bytes())
        if official["url"] not in profile_catalogue() or "snapshot" not in official:
            continue
        ours, theirs = elements(DEFINITIONS[official["url"]]), elements(official)
        for id_ in ours.keys() & theirs.keys() - NOT_HELD:
            for bound in ("min", "max"):
                assert ours[id_][bound] == theirs[id_][bound], (official["id"], id_, bound)
            compared += 1
    assert compared > 2000
