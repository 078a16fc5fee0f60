"""Which definitions a search finds: each alternative of each kind of parameter, with its modifiers."""

from __future__ import annotations

import pytest

from creneau_gateway.conformance import search
from creneau_gateway.conformance.search import criterion
from creneau_shared.fhir.storage.store import Resource

SYSTEM: Resource = {
    "resourceType": "CodeSystem",
    "id": "colours",
    "url": "https://example.org/colours/basic",
    "title": "Couleurs d'été",
    "status": "active",
    "concept": [{"code": "rouge"}, {"code": "vert"}],
    "useContext": [
        {
            "code": {"system": "urn:types", "code": "venue"},
            "valueCodeableConcept": {"coding": [{"system": "urn:venues", "code": "garden"}]},
        }
    ],
}


@pytest.mark.parametrize(
    ("name", "found", "not_found"),
    [
        ("code", ["rouge", "bleu,vert", "urn:any|vert", "|rouge"], ["bleu", "roug", "|noir"]),
        ("code:not", ["bleu", "bleu,noir"], ["rouge", "bleu,vert"]),
        ("code:missing", ["false"], ["true"]),
        ("context", ["garden", "urn:venues|garden", "urn:venues|"], ["urn:types|garden", "|garden"]),
        ("title", ["couleurs", "x,COULEURS D"], ["ete"]),
        ("title:contains", ["été", "ETE"], ["hiver"]),
        ("title:exact", ["Couleurs d'été"], ["couleurs d'ete"]),
        ("url", ["https://example.org/colours/basic"], ["https://example.org/colours"]),
        ("url:below", ["https://example.org/colours", "x,https://example.org/"], ["https://example.org/col"]),
        ("url:above", ["https://example.org/colours/basic/2"], ["https://example.org/colours"]),
        ("context-type-value", ["urn:types|venue$garden", "x$y,venue$garden"], ["venue", "garden$venue"]),
    ],
)
def test_kinds_and_modifiers(name: str, found: list[str], not_found: list[str]) -> None:
    assert [value for value in found if not criterion("CodeSystem", name, value)(SYSTEM)] == []
    assert [value for value in not_found if criterion("CodeSystem", name, value)(SYSTEM)] == []


def test_alternatives_are_read_once_and_not_for_each_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def fold(text: str) -> str:
        read.append(text)
        return text.lower()

    monkeypatch.setattr(search, "fold", fold)
    fulfils = criterion("CodeSystem", "title", "hiver,printemps")
    assert not any(fulfils(SYSTEM) for _ in range(100))
    assert read.count("hiver") == read.count("printemps") == 1
