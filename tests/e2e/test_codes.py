"""Somebody without an account books: from the code in the mailbox to the confirmation, through the running system."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import httpx
from deploy.local.mail_store import MailStore, Message
from deploy.local.ports import wait_until

from tests.conformance import builders
from tests.conformance.builders import Resource
from tests.fixtures.stack import Stack

WITHIN_S = 60.0


def mails_to(stack: Stack, address: str, count: int) -> list[Message]:
    """The mails to an address, the oldest first, once there are so many."""
    store, found = MailStore(stack.topology.folder.mail), list[Message]()

    def are_there() -> bool:
        found[:] = reversed(list(store.newest_first(address)))
        return len(found) >= count

    wait_until(are_there, within_s=WITHIN_S, what=f"{count} mails", every_s=0.1)
    return found


def parameters(**given: Any) -> Resource:
    """The body of an operation."""
    named = [
        {"name": name, ("valueContactPoint" if isinstance(value, dict) else "valueString"): value}
        for name, value in given.items()
    ]
    return {"resourceType": "Parameters", "parameter": named}


def called(client: httpx.Client, operation: str, /, of: str = "", **given: Any) -> Resource:
    """The answer of an operation of the base, or of a type, by name."""
    answer = client.post(f"{'/' if of else ''}{of}/${operation}", json=parameters(**given))
    assert answer.status_code == 200, answer.text
    return {p["name"]: next(v for k, v in p.items() if k != "name") for p in answer.json()["parameter"]}


def test_somebody_without_an_account_books_by_a_code(full_stack: Stack) -> None:
    """P10: one contact, one code. The confirmation asks for no proof of the address any more, and no log has kept who it
    was."""
    address = f"camille-{uuid4().hex}@exemple.test"
    telecom = {"system": "email", "value": address}
    with full_stack.client("system") as system, full_stack.client(None) as stranger:
        # A professional whom the directory has: messages wait for the facts that they tell.
        doctor = builders.created(system, builders.practitioner())
        agenda = builders.created(system, builders.schedule(f"Practitioner/{doctor['id']}"))
        slot = builders.created(system, builders.slot(agenda["id"], builders.next_day()))
        called(stranger, "send-code", telecom=telecom)
        found = re.search(r"\b\d{6}\b", mails_to(full_stack, address, 1)[0].text)
        assert found
        token = called(stranger, "verify-code", telecom=telecom, code=found[0])["access-token"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=full_stack.fhir, headers=headers, timeout=30) as own:
        name = [{"family": "Éphémère", "given": ["Camille"]}]
        said = {"resourceType": "Patient", "name": name, "telecom": [telecom], "birthDate": "1984-05-06"}
        person = builders.created(own, said)
        wanted = builders.appointment(person["id"], slot, status="proposed")
        held = own.post("/Appointment/$hold", json=wanted)
        assert held.status_code == 201, held.text
        booked = own.post(f"/Appointment/{held.json()['id']}/$book")
        assert booked.status_code in (200, 201), booked.text
        assert [r["id"] for r in builders.resources(own.get("/Appointment"))] == [booked.json()["id"]]
    confirmation = mails_to(full_stack, address, 2)[1]
    assert "/confirmer/" not in confirmation.text
    assert {file.filename for file in confirmation.attachments} == {"rendez-vous.ics"}
    by_link = the_link_of_a_message_leads_to_a_cancellation(full_stack, confirmation, booked.json()["id"])
    assert free_again(full_stack, slot)
    logs = "".join(path.read_text() for path in full_stack.topology.folder.logs.glob("*.log"))
    assert logs
    secrets = (address, token, by_link, token.split(".")[1], token_in(confirmation))
    assert not any(secret in logs for secret in secrets)


def token_in(mail: Message) -> str:
    """Of the link that the message carries, in its text and in its calendar file, if it has one."""
    (found,) = set(re.findall(r"/rdv/([A-Za-z0-9_-]+)", mail.text))
    assert all(found in file.content.decode().replace("\r\n ", "") for file in mail.attachments)
    return str(found)


def the_link_of_a_message_leads_to_a_cancellation(stack: Stack, mail: Message, id_: str) -> str:
    """P14, P16: without logging in, with what only the person knows; the token that it took."""
    link = {"token": token_in(mail)}
    with stack.client(None) as stranger:
        shown = called(stranger, "open-link", of="Appointment", **link)
        assert (shown["status"], shown["tries-left"]) == ("booked", 5)
        assert not {"appointment", "access-token"} & shown.keys()
        wrong = stranger.post("/Appointment/$open-link", json=parameters(**link, answer="mar"))
        assert wrong.status_code == 422, wrong.text
        granted = called(stranger, "open-link", of="Appointment", **link, answer="éph")
        assert granted["appointment"] == {"reference": f"Appointment/{id_}"}
    headers = {"Authorization": f"Bearer {granted['access-token']}"}
    with httpx.Client(base_url=stack.fhir, headers=headers, timeout=30) as guest:
        assert guest.get("/Patient").status_code == guest.get("/Communication").status_code == 403
        assert guest.get("/Location?_count=1").status_code == 200
        cancel = [{"op": "replace", "path": "/status", "value": "cancelled"}]
        answer = guest.patch(
            f"/Appointment/{id_}", json=cancel, headers={"Content-Type": "application/json-patch+json"}
        )
        assert answer.status_code == 200, answer.text
    return str(granted["access-token"])


def free_again(stack: Stack, slot: Resource) -> bool:
    with stack.client(None) as anybody:
        return bool(anybody.get(f"/Slot/{slot['id']}").json()["status"] == "free")
