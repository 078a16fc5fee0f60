"""Another time that a practice proposes: told by e-mail, and taken by the link of that e-mail, without logging in."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from tests.conformance import builders
from tests.conformance.builders import Resource
from tests.e2e.test_codes import called, mails_to, token_in
from tests.fixtures.stack import Stack


class Visit:
    """Booked for somebody by the software of the practice, which has a later time free as well."""

    def __init__(self, stack: Stack, system: httpx.Client) -> None:
        self.address = f"camille-{uuid4().hex}@exemple.test"
        self.stack, self.system = stack, system
        telecom = [{"system": "email", "value": self.address}]
        self.patient = builders.created(system, builders.patient(telecom=telecom))
        self.doctor = builders.created(system, builders.practitioner())
        agenda = builders.created(system, builders.schedule(f"Practitioner/{self.doctor['id']}"))
        start = builders.next_day()
        self.times = [
            builders.created(system, builders.slot(agenda["id"], start + timedelta(hours=hour)))
            for hour in (0, 2)
        ]
        self.id = builders.created(system, builders.appointment(self.patient["id"], self.times[0]))["id"]

    def subjects(self, count: int) -> list[str]:
        """Of the messages so far, once there are so many."""
        return [mail.subject for mail in mails_to(self.stack, self.address, count)]

    def propose(self) -> None:
        """The practice would rather have them two hours later."""
        self._respond(self.system, f"Practitioner/{self.doctor['id']}", "tentative")

    def answer_by_the_link(self, status: str) -> None:
        """What the person does who has read the message, and knows their own name."""
        link = {"token": token_in(mails_to(self.stack, self.address, 2)[1])}
        with self.stack.client(None) as stranger:
            granted = called(stranger, "open-link", of="Appointment", **link, answer="fic")
        headers = {"Authorization": f"Bearer {granted['access-token']}"}
        with httpx.Client(base_url=self.stack.fhir, headers=headers, timeout=30) as reader:
            self._respond(reader, f"Patient/{self.patient['id']}", status)

    def _respond(self, client: httpx.Client, actor: str, status: str) -> None:
        later = {name: self.times[1][name] for name in ("start", "end")} if status != "declined" else {}
        said: Resource = {
            "resourceType": "AppointmentResponse",
            "appointment": {"reference": f"Appointment/{self.id}"},
            "actor": {"reference": actor},
            "participantStatus": status,
            **later,
        }
        builders.created(client, said)

    def standing(self) -> tuple[str, str, list[str]]:
        """The visit's status and start, and what its two times are to anybody."""
        visit = self.system.get(f"/Appointment/{self.id}").json()
        with self.stack.client(None) as anybody:
            times = [anybody.get(f"/Slot/{slot['id']}").json()["status"] for slot in self.times]
        return visit["status"], visit["start"], times


@pytest.mark.parametrize(
    ("answer", "becomes", "told", "times"),
    [
        ("accepted", "booked", "Votre rendez-vous est modifié", ["free", "busy"]),
        ("declined", "cancelled", "est annulé", ["free", "free"]),
    ],
)
def test_a_proposal_is_told_and_answered_by_its_link(
    full_stack: Stack, answer: str, becomes: str, told: str, times: list[str]
) -> None:
    """P14: what was proposed is taken, or the visit given up; each step is told once, and the calendars agree."""
    with full_stack.client("system") as system:
        visit = Visit(full_stack, system)
        assert len(visit.subjects(1)) == 1
        visit.propose()
        assert "Une autre heure vous est proposée" in visit.subjects(2)[1]
        assert visit.standing() == ("booked", visit.times[0]["start"], ["busy", "free"])
        visit.answer_by_the_link(answer)
        subjects = visit.subjects(3)
        assert told in subjects[2]
        assert len(subjects) == 3
        start = visit.times[1 if answer == "accepted" else 0]["start"]
        assert visit.standing() == (becomes, start, times)
