"""A patient whose account only booking knows reads, through the gateway, what was sent to them; their carer too, until
they no longer are."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from deploy.local.ports import wait_until

from tests.conformance.builders import Agenda, appointment, created, patient, resources, unique
from tests.fixtures.stack import Stack

WITHIN_S = 60
PROXY_SCOPE = "https://creneau.sante.fr/fhir/StructureDefinition/proxy-scope"


def messages(who: httpx.Client) -> list[str]:
    """The appointments of which messages tell."""
    answer = who.get("/Communication")
    assert answer.status_code == 200, answer.text
    return [message["about"][0]["reference"] for message in resources(answer)]


def become(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, within_s=WITHIN_S, what=what, every_s=0.2)


def test_messages_are_read_by_accounts_that_only_booking_knows(full_stack: Stack) -> None:
    """Patient, carer and stranger have tokens without the claim `patient`; the bus tells notifications who is who."""
    stack = full_stack
    with (
        stack.client("system") as system,
        stack.client("patient", subject=unique()) as person,
        stack.client("patient", subject=unique()) as carer,
        stack.client("patient", subject=unique()) as stranger,
    ):
        agenda = Agenda.create(system)
        email = [{"system": "email", "value": f"{unique()}@exemple.fr"}]
        registered = {n: v for n, v in patient(telecom=email).items() if n != "identifier"}
        of = created(person, registered)["id"]
        hidden_label = {
            "system": "https://creneau.sante.fr/fhir/CodeSystem/confidentiality",
            "code": "HIDDEN-FROM-PROXIES",
        }
        hidden = created(person, appointment(of, agenda.slot(0), meta={"security": [hidden_label]}))
        booked = f"Appointment/{created(person, appointment(of, agenda.slot(1)))['id']}"
        become(lambda: booked in messages(person), "the person reads what was sent to them")
        assert messages(stranger) == messages(carer) == []
        stated = created(
            person,
            {
                "resourceType": "RelatedPerson",
                "patient": {"reference": f"Patient/{of}"},
                "name": [{"text": "Dominique"}],
                "extension": [{"url": PROXY_SCOPE, "valueCode": "see"}],
            },
        )
        invited = person.post(f"/RelatedPerson/{stated['id']}/$invite", json={"resourceType": "Parameters"})
        code = next(p["valueString"] for p in invited.json()["parameter"] if p["name"] == "code")
        body = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueString": code}]}
        assert carer.post("/RelatedPerson/$accept", json=body).status_code == 200
        become(lambda: booked in messages(carer), "the carer reads it too")
        assert set(messages(carer)) == set(messages(person)) == {booked}
        assert carer.get(f"/Appointment/{hidden['id']}").status_code == 404
        assert person.delete(f"/RelatedPerson/{stated['id']}").status_code == 204
        assert carer.get(f"/Appointment/{booked.partition('/')[2]}").status_code == 404, "at once"
        become(lambda: messages(carer) == [], "the carer reads nothing any more")
        assert booked in messages(person)
