"""What the definitions say of the extensions by which agendas and offers state their rules is what is read."""

from __future__ import annotations

from creneau_booking.domain.refusals.offering import RulesUnread
from creneau_booking.storage.agendas.access_extensions import rules_of
from creneau_shared.fhir.structure_definitions import structure_definitions

OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"


def is_rule(url: str) -> bool:
    """Whether an offer that says this without a value is refused for it."""
    try:
        rules_of({"resourceType": "HealthcareService", "extension": [{"url": url}]})
    except RulesUnread:
        return True
    return False


def test_a_rule_may_stand_wherever_it_is_read() -> None:
    """An agenda takes what it does not state from its offers, under whichever of its names a rule stands there."""
    contexts = {
        definition["url"]: {one["expression"] for one in definition["context"]}
        for definition in structure_definitions(("Schedule",))
        if definition["url"].startswith(OWN)
    }
    rules = {url for url in contexts if is_rule(url)}
    assert {OWN + "minimum-notice", OWN + "schedule-minimum-notice"} <= rules
    assert {url for url in rules if not contexts[url] >= {"Schedule", "HealthcareService"}} == set()
