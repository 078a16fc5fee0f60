"""A miniature Créneau behind httpx.MockTransport: enough of it to hear the story of `make demo`.

`faults` names ways to misbehave; each must end the story.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import orjson
from deploy.demo import group, resources
from deploy.demo.region import DAYS, population
from deploy.demo.slots import free_slots
from deploy.demo.story.bus import Event
from deploy.demo.story.waiting import HELD_UNTIL, SUBJECT

Resource = dict[str, Any]

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
PAGE_SLOTS = 3
"""So few that the first page is over before the first day that the story wants."""


class FakeCreneau:
    """Slots of a few GPs in Rennes and of a workshop, which stay free; the rest as it comes."""

    def __init__(self, *faults: str) -> None:
        self.faults = set(faults)
        self.posts = [
            post
            for post in population().posts
            if post.practice.commune.name == "Rennes"
            and post.professional.profession.key == "medecine-generale"
        ][:3]
        of_a_group = list(group.graph(population(), NOW, DAYS))
        self.workshop = {r["resourceType"]: r for r in of_a_group if r["resourceType"] != "Slot"}
        self.slots = {r["id"]: r for r in of_a_group if r["resourceType"] == "Slot"}
        first = min(slot["start"] for slot in self.slots.values()) if "workshop first" in self.faults else ""
        alone = [slot for post in self.posts for slot in free_slots(post, NOW, DAYS)]
        self.slots |= {slot["id"]: slot for slot in alone if slot["start"] > first}
        self.patients: dict[str, Resource] = {}
        self.appointments: dict[str, Resource] = {}
        self.sequence: dict[str, int] = {}
        self.events: list[Event] = []
        self.mails: list[Resource] = []
        self.calendars: list[str] = []
        self.routes: list[tuple[str, str, Callable[..., httpx.Response]]] = [
            ("GET", r"/fhir/PractitionerRole", self.roles),
            ("GET", r"/fhir/Location", self.places),
            ("GET", r"/fhir/Slot", self.free),
            ("GET", r"/fhir/Slot/([^/]+)", self.slot),
            ("POST", r"/fhir/Patient", self.register),
            ("POST", r"/fhir/Appointment/\$find", self.find),
            ("POST", r"/fhir/Appointment/\$hold", self.hold),
            ("POST", r"/fhir/Appointment/([^/]+)/\$book", self.confirm),
            ("POST", r"/fhir/Appointment", self.book),
            ("GET", r"/fhir/Appointment", self.agenda),
            ("GET", r"/fhir/Appointment/([^/]+)", self.look),
            ("POST", r"/fhir/Appointment/([^/]+)/\$reschedule", self.move),
            ("PATCH", r"/fhir/Appointment/([^/]+)", self.cancel),
            ("POST", r"/fhir/Schedule/([^/]+)/\$close", self.close),
            ("GET", r"/fhir/Communication", self.communications),
            ("POST", r"/confirmer/(\w+)", self.confirm_address),
            ("GET", r"/dev/mail\.json", self.mail),
            ("GET", r"/ics/(\d+)", self.calendar),
        ]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        for method, pattern, answer in self.routes:
            match = re.fullmatch(pattern, request.url.path)
            if match and method == request.method:
                return answer(request, *match.groups())
        return refusal(404, f"Rien à {request.url.path}.")

    def roles(self, request: httpx.Request) -> httpx.Response:
        if "empty" in self.faults:
            return bundle([])
        found = [(resources.practitioner_role(post, NOW, DAYS), "match") for post in self.posts]
        people = {post.professional.id: resources.practitioner(post.professional) for post in self.posts}
        places = {post.practice.id: resources.location(post.practice) for post in self.posts}
        included = [*people.values(), *([] if "no include" in self.faults else places.values())]
        return bundle(found + [(resource, "include") for resource in included])

    def places(self, request: httpx.Request) -> httpx.Response:
        assert re.fullmatch(r"[\d.-]+\|[\d.-]+\|10\|km", request.url.params["near"])
        place = resources.location(self.posts[0].practice)
        if "far" in self.faults:
            place["position"] = {"latitude": 48.8, "longitude": 2.3}
        return bundle([(place, "match")])

    def free(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["accept"] == "application/json+fhir"
        assert request.url.params.get_list("start")[0].startswith("ge")
        until = datetime.fromisoformat(request.url.params.get_list("start")[1].removeprefix("le"))
        found = [
            slot
            for slot in self.slots.values()
            if slot["status"] == "free" and datetime.fromisoformat(slot["start"]) <= until
        ]
        if "busy slots" in self.faults:
            found[0]["status"] = "busy"
        included = [resources.schedule(post, NOW, DAYS) for post in self.posts]
        included.append(self.workshop["Schedule"])
        roles = [(resources.practitioner_role(post, NOW, DAYS), post.practice) for post in self.posts]
        roles.append((self.workshop["PractitionerRole"], self.posts[0].practice))
        included += [role | {"contained": [resources.location(practice)]} for role, practice in roles]
        if "no actors" not in self.faults:
            included += [resources.practitioner(post.professional) for post in self.posts]
        if "stranger" in self.faults:
            included.append(resources.practitioner(population().professionals[-1]))
        return self._page(request, found, included)

    def _page(
        self, request: httpx.Request, found: list[Resource], included: list[Resource]
    ) -> httpx.Response:
        """A page of those found, with all that goes with them and the way to the next page."""
        page = int(request.url.params.get("page", "0"))
        slots, rest = found[page * PAGE_SLOTS : (page + 1) * PAGE_SLOTS], found[(page + 1) * PAGE_SLOTS :]
        answer = orjson.loads(
            bundle([(slot, "match") for slot in slots] + [(r, "include") for r in included]).content
        )
        if rest and "no next page" not in self.faults:
            address = str(request.url.copy_set_param("page", str(page + 1)))
            answer["link"] = [{"relation": "next", "url": address}]
        return httpx.Response(200, json=answer)

    def slot(self, request: httpx.Request, id_: str) -> httpx.Response:
        return ok(self.slots[id_])

    def register(self, request: httpx.Request) -> httpx.Response:
        patient = orjson.loads(request.content) | {"id": f"p{len(self.patients) + 1}"}
        self.patients[f"Patient/{patient['id']}"] = patient
        return ok(patient, 201)

    def find(self, request: httpx.Request) -> httpx.Response:
        parameters = {p["name"]: p for p in orjson.loads(request.content)["parameter"]}
        national = parameters["practitioner"]["valueReference"]["identifier"]["value"]
        post = next(post for post in self.posts if national == f"8{post.professional.rpps}")
        after = datetime.fromisoformat(parameters["start"]["valueDateTime"])
        found = [
            {"resourceType": "Appointment", "status": "proposed", "start": slot["start"], "end": slot["end"]}
            for slot in self.slots.values()
            if slot["id"].startswith(f"{post.id}-") and datetime.fromisoformat(slot["start"]) >= after
        ]
        count = 50 if "count" in self.faults else parameters["_count"]["valueInteger"]
        return bundle([(appointment, "match") for appointment in found[:count]])

    def hold(self, request: httpx.Request) -> httpx.Response:
        appointment = orjson.loads(request.content)["parameter"][0]["resource"]
        assert appointment["status"] == "proposed"
        held = self._take(appointment, "pending", "busy-tentative")
        expires = format_datetime(NOW + timedelta(minutes=5), usegmt=True)
        headers = {} if "no expires" in self.faults else {"expires": expires}
        return httpx.Response(201, headers=headers, json=orjson.loads(bundle([(held, "match")]).content))

    def confirm(self, request: httpx.Request, id_: str) -> httpx.Response:
        appointment = self.appointments[id_]
        appointment["status"] = "booked"
        self._slot_of(appointment)["status"] = "busy"
        self._publish(appointment, "booked")
        return ok(appointment)

    def book(self, request: httpx.Request) -> httpx.Response:
        appointment = orjson.loads(request.content)
        if appointment["status"] == "waitlist":
            return self.wait(appointment)
        slot = self._slot_of(appointment)
        if slot["status"] != "free" and "double booking" not in self.faults:
            return refusal(409, "Ce créneau vient d'être pris.")
        booked = self._take(appointment, "booked", "busy")
        self._publish(booked, "booked")
        headers = {"location": f"/fhir/Appointment/{booked['id']}/_history/1", "etag": 'W/"1"'}
        return httpx.Response(201, headers=headers, json=booked)

    def wait(self, appointment: Resource) -> httpx.Response:
        id_ = f"a{len(self.appointments) + 1}"
        self.appointments[id_] = appointment | {"id": id_}
        self.sequence[id_] = 0
        return ok(self.appointments[id_], 201)

    def offer(self, freed: Resource) -> None:
        """To the first who waits, if anybody does."""
        line = [one for one in self.appointments.values() if one["status"] == "waitlist"]
        for waiting in line[:1]:
            until = {"url": HELD_UNTIL, "valueInstant": f"{NOW + timedelta(hours=12):%Y-%m-%dT%H:%M:%SZ}"}
            waiting |= {name: freed[name] for name in ("start", "end", "slot")}
            waiting |= {"status": "pending", "extension": [until]}
            self._slot_of(waiting)["status"] = "busy-tentative"
            self.sequence[waiting["id"]] += 1
            self._publish(waiting, "offered")

    def agenda(self, request: httpx.Request) -> httpx.Response:
        """The practice's own appointment, with its patient."""
        appointment = self.appointments[request.url.params["_id"]]
        if "nobody's" in self.faults or not self._is_its_own(request, appointment):
            return bundle([])
        named = [p["actor"]["reference"] for p in appointment["participant"]]
        known = [self.patients[reference] for reference in named if reference in self.patients]
        return bundle([(appointment, "match"), *((patient, "include") for patient in known)])

    def look(self, request: httpx.Request, id_: str) -> httpx.Response:
        appointment = self.appointments[id_]
        patient = appointment["participant"][0]["actor"]["reference"].removeprefix("Patient/")
        own = request.headers["authorization"].endswith(f"/{patient}")
        if "everybody's" in self.faults or own or self._is_its_own(request, appointment):
            return httpx.Response(200, json=appointment)
        return refusal(404, f"Appointment/{id_} n'existe pas.")

    def _is_its_own(self, request: httpx.Request, appointment: Resource) -> bool:
        """Whether the practice whose secretary asks is where the appointment takes place."""
        organization = request.headers["authorization"].rpartition("/")[2]
        actors = [p["actor"]["reference"] for p in appointment["participant"]]
        return f"Location/{organization}" in actors

    def move(self, request: httpx.Request, id_: str) -> httpx.Response:
        appointment = self.appointments[id_]
        before = {} if "no previous" in self.faults else {"start": utc(appointment["start"])}
        if "old slot kept" not in self.faults:
            self._slot_of(appointment)["status"] = "free"
        appointment["slot"] = [orjson.loads(request.content)["parameter"][0]["valueReference"]]
        slot = self._slot_of(appointment)
        slot["status"] = "busy"
        appointment |= {"start": slot["start"], "end": slot["end"]}
        self.sequence[id_] += 0 if "same sequence" in self.faults else 1
        self._publish(appointment, "moved", before)
        return ok(appointment)

    def close(self, request: httpx.Request, agenda: str) -> httpx.Response:
        """The time of one visit: who has it, to where they could go, and with confirmation they have gone there."""
        said = {p["name"]: next(v for k, v in p.items() if k != "name") for p in _parameters(request)}
        start, confirmed = said["period"]["start"], said["confirm"]
        closed = next(
            s for s in self.slots.values() if s["id"].startswith(f"{agenda}-") and s["start"] == start
        )
        if said["action"] == "reopen":
            closed["status"] = "free"
            return ok({"resourceType": "Parameters"})
        hit = [a for a in self.appointments.values() if a["status"] == "booked" and a["start"] == start]
        part: list[Resource] = []
        for appointment in hit if "nobody hit" not in self.faults else ():
            reference = {"reference": f"Appointment/{appointment['id']}"}
            part = [{"name": "reference", "valueReference": reference}]
            free = [
                s for s in self.slots.values() if s["id"].startswith(f"{agenda}-") and s["status"] == "free"
            ]
            part.append({"name": "new-start", "valueInstant": free[0]["start"]})
            if confirmed:
                outcome = "left" if "left" in self.faults else "moved"
                part.append({"name": "outcome", "valueCode": outcome})
                closed["status"] = "free" if "not closed" in self.faults else "busy-unavailable"
                free[0]["status"] = "busy"
                appointment["slot"] = [{"reference": f"Slot/{free[0]['id']}"}]
                appointment |= {"start": free[0]["start"], "end": free[0]["end"]}
                self.sequence[appointment["id"]] += 1
                self._publish(appointment, "moved", {"start": utc(start)})
        return ok({"resourceType": "Parameters", "parameter": [{"name": "appointment", "part": part}]})

    def cancel(self, request: httpx.Request, id_: str) -> httpx.Response:
        assert request.headers["content-type"] == "application/json-patch+json"
        [change] = orjson.loads(request.content)
        assert (change["op"], change["path"]) == ("replace", "/status")
        if change["value"] == "booked":
            return self.confirm(request, id_)
        assert change["value"] == "cancelled"
        appointment = self.appointments[id_]
        appointment["status"] = "cancelled"
        if "slot lost" not in self.faults:
            self._slot_of(appointment)["status"] = "free"
        self.sequence[id_] += 1
        self._publish(appointment, "cancelled")
        if "never offered" not in self.faults:
            self.offer(appointment)
        return ok(appointment)

    def communications(self, request: httpx.Request) -> httpx.Response:
        found = []
        for appointment in self.appointments.values():
            found.append(communication("completed", "Confirmation d’un rendez-vous", appointment))
            if "no reminder" not in self.faults:
                withdrawn = appointment["status"] == "cancelled" and "reminder kept" not in self.faults
                status = "not-done" if withdrawn else "preparation"
                found.append(communication(status, "Rappel d’un rendez-vous", appointment))
        return bundle([(resource, "match") for resource in found])

    def confirm_address(self, request: httpx.Request, token: str) -> httpx.Response:
        assert request.content == b"answer=confirm"
        return httpx.Response(410 if "link ended" in self.faults else 200, text="<h1>Merci</h1>")

    def mail(self, request: httpx.Request) -> httpx.Response:
        wanted = request.url.params["to"]
        return httpx.Response(200, json=[mail for mail in reversed(self.mails) if mail["to"] == wanted])

    def calendar(self, request: httpx.Request, number: str) -> httpx.Response:
        return httpx.Response(200, text=self.calendars[int(number)])

    def _slot_of(self, appointment: Resource) -> Resource:
        return self.slots[appointment["slot"][0]["reference"].removeprefix("Slot/")]

    def _take(self, appointment: Resource, status: str, slot_status: str) -> Resource:
        id_ = f"a{len(self.appointments) + 1}"
        self.appointments[id_] = appointment | {"id": id_, "status": status}
        self.sequence[id_] = 0
        if not appointment["slot"][0]["reference"].startswith(f"Slot/{group.ID}"):
            self._slot_of(appointment)["status"] = slot_status
        return self.appointments[id_]

    def _publish(self, appointment: Resource, change: str, before: Resource | None = None) -> None:
        id_, patient = appointment["id"], appointment["participant"][0]["actor"]["reference"]
        start, end = utc(appointment["start"]), utc(appointment["end"])
        data: Resource = {
            "appointment": id_,
            "version": 1 + self.sequence[id_],
            "status": appointment["status"],
            "start": start,
            "end": end,
            "slots": [appointment["slot"][0]["reference"]],
            "schedules": [],
            "patient": patient,
            "actors": [],
            "serviceType": [],
            "sequence": self.sequence[id_],
        }
        said: dict[str, Resource] = {
            "moved": {"previous": {"start": start, "end": end} | (before or {})},
            "cancelled": {"cancellation": {"reason": "pat", "by": "patient"}},
            "offered": {"heldUntil": f"{NOW + timedelta(hours=12):%Y-%m-%dT%H:%M:%SZ}"},
        }
        data |= said.get(change, {})
        if "leaky event" in self.faults:
            data["name"] = "Camille Martin"
        if "broken contract" in self.faults:
            del data["sequence"]
        event_type = f"fr.creneau.booking.appointment.{change}.v1"
        self.events.append(Event(0, len(self.events), id_, {"ce_type": event_type}, data))
        self._send(appointment, patient, "CANCEL" if change == "cancelled" else "REQUEST")

    def _send(self, appointment: Resource, patient: str, method: str) -> None:
        id_ = appointment["id"]
        uid = f"{id_}-{len(self.mails)}" if "other uid" in self.faults else f"{id_}@creneau"
        moment = datetime.fromisoformat(appointment["start"]).astimezone(UTC)
        if "wrong hour" in self.faults:
            moment += timedelta(hours=1)
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", f"METHOD:{method}", "BEGIN:VEVENT"]
        lines += [f"UID:{uid}", f"SEQUENCE:{self.sequence[id_]}", f"DTSTART:{moment:%Y%m%dT%H%M%SZ}"]
        lines += ["SUMMARY:Rendez-vous", "END:VEVENT", "END:VCALENDAR"]
        attachment = {"contentType": "text/calendar", "url": f"/ics/{len(self.calendars)}"}
        self.calendars.append("\r\n".join(lines))
        self.mails.append(
            {
                "to": self.patients[patient]["telecom"][0]["value"],
                "subject": "Votre rendez-vous"
                if appointment["status"] != "pending"
                else f"{SUBJECT} : demain",
                "text": "Bonjour,\nvotre rendez-vous est noté."
                + ("" if "no link" in self.faults else "\nhttp://creneau/confirmer/a1\n"),
                "url": "/dev/mail/1",
                "attachments": [] if "no calendar" in self.faults else [attachment],
            }
        )


class FakeBus:
    """The events of a FakeCreneau, without Kafka."""

    def __init__(self, creneau: FakeCreneau) -> None:
        self._creneau = creneau

    def wait(self, appointment: str, change: str) -> Event:
        return next(
            event
            for event in self._creneau.events
            if event.key == appointment and event.headers["ce_type"].endswith(f".{change}.v1")
        )


def _parameters(request: httpx.Request) -> list[Resource]:
    found: list[Resource] = orjson.loads(request.content)["parameter"]
    return found


def communication(status: str, text: str, appointment: Resource) -> Resource:
    return {
        "resourceType": "Communication",
        "status": status,
        "medium": [{"coding": [{"code": "SMSWRIT"}]}],
        "about": [{"reference": f"Appointment/{appointment['id']}"}],
        "payload": [{"contentString": text}],
    }


def utc(instant: str) -> str:
    """An instant as events write it."""
    return datetime.fromisoformat(instant).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ok(resource: Resource, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=resource)


def bundle(found: list[tuple[Resource, str]]) -> httpx.Response:
    entry = [{"resource": resource, "search": {"mode": mode}} for resource, mode in found]
    return ok({"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entry})


def refusal(status: int, text: str) -> httpx.Response:
    issue = {"severity": "error", "code": "conflict", "details": {"text": text}}
    return ok({"resourceType": "OperationOutcome", "issue": [issue]}, status)
