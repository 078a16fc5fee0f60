"""What a CapabilityStatement says of itself is what is done (R4 capabilitystatement.html)."""

from __future__ import annotations

from shared.tests.service.small import BASE, Small

from creneau_shared.fhir.rest.capability import capability_statement
from creneau_shared.type_table import COMPARTMENT


def test_which_compartments_are_searched_is_declared() -> None:
    """Of whoever owns one in which some of the types can be searched, and of nobody where there is none."""

    def told(*types: str) -> list[str] | None:
        resources = [{"type": name} for name in types]
        said = capability_statement(name="small", base_url=BASE, resources=resources, operations=[])
        found: list[str] | None = said["rest"][0].get("compartment")
        return found

    base = "http://hl7.org/fhir/CompartmentDefinition/"
    everybody = [f"{base}{name}" for name in ("device", "patient", "practitioner", "relatedPerson")]
    assert told("Appointment", "Slot") == everybody
    assert told("PractitionerRole") == [f"{base}practitioner"]
    assert told("Slot", "Patient") is None


async def test_who_may_create_by_an_update_is_told_as_it_is_for_most(small: Small) -> None:
    """Of what is about persons nobody but the deployment itself chooses ids: the statement does not promise it."""
    said = (await small.system.ask("GET", "metadata")).resource["rest"][0]
    resources = {resource["type"]: resource for resource in said["resource"]}
    for name, resource in resources.items():
        assert resource["updateCreate"] is (
            name not in COMPARTMENT and {"code": "update"} in resource["interaction"]
        )
    assert "ids" in resources["Patient"]["documentation"]
    body = {"resourceType": "Patient", "id": "camille-2", "name": [{"family": "Lefèvre"}]}
    assert (await small.patient("camille").ask("PUT", "Patient/camille-2", body)).status == 404
    assert (await small.system.ask("PUT", "Patient/camille-2", body)).status == 201
