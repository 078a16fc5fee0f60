"""Holding, booking and changing (checklist 49-85), by number, as far as no other file has them: 52 and 75–77 `test_cancel`, 61
and 72 `test_confirmation`, 69 `test_referrals`, 71 `test_beside_the_agenda`, 74 `test_answers`, 85 `test_choreography`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import product

import pytest
from services.booking.tests.api.test_answers import booked, read
from services.booking.tests.api.test_cancel import said
from services.booking.tests.api.test_confirmation import told, until
from services.booking.tests.client import Caller, code, reason
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.domain.status import APPOINTMENT_STATUSES
from creneau_booking.domain.transitions import TRANSITIONS
from creneau_booking.storage.mapping.appointment import DOUBLE_BOOKING_REASON, REPLACES
from creneau_shared.fhir.storage.store import Resource


def status_of(value: str) -> list[Resource]:
    return [{"op": "replace", "path": "/status", "value": value}]


async def held(caller: Caller, agenda: Agenda, who: str, index: int = 0) -> Resource:
    wanted = appointment("proposed", slots=agenda.slots[index : index + 1], patient=who)
    answer = await caller.post("Appointment/$hold", parameters(appointment=wanted))
    assert answer.status_code == 201, answer.text
    found: Resource = answer.json()
    return found


async def test_49_50_a_hold_by_type_and_by_instance(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """49, 50: pending, tentative, busy-tentative; until when in `Expires`, in the resource and, in a Bundle, as an
    informational outcome."""
    caller = callers.patient(camille)
    request = (
        await caller.post("Appointment", appointment("proposed", slots=agenda.slots[:1], patient=camille))
    ).json()
    by_instance = await caller.post(
        f"Appointment/{request['id']}/$hold", parameters(appt_id=f"Appointment/{request['id']}")
    )
    wanted = appointment("proposed", slots=agenda.slots[1:2], patient=camille)
    by_type = await caller.post("Appointment/$hold", parameters(appointment_resource=wanted))
    end = practice.clock.now() + timedelta(seconds=practice.settings.hold_duration_s)
    for answer in (by_instance, by_type):
        assert answer.status_code == 200, answer.text
        assert "expires" in answer.headers
        one, outcome = answer.json()["entry"]
        assert (one["resource"]["status"], until(one["resource"])) == ("pending", utc(end))
        assert {p["status"] for p in one["resource"]["participant"]} == {"accepted", "tentative"}
        assert (outcome["search"]["mode"], answer.json()["total"]) == ("outcome", 1)
        [issue] = outcome["resource"]["issue"]
        assert (issue["severity"], issue["code"], issue["diagnostics"]) == (
            "information",
            "informational",
            end.isoformat(),
        )
    assert await practice.slot_statuses(agenda.slots) == ["busy-tentative", "busy-tentative", "free"]


async def test_51_a_hold_ends_by_itself_and_is_told_once(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """51: by any worker, after a restart too: what is due stands in the database; several at once tell it once."""
    one = await held(callers.patient(camille), agenda, camille)
    ahead = timedelta(seconds=practice.settings.hold_duration_s)
    practice.clock.advance(ahead)
    await asyncio.gather(*(practice.jobs().expire_holds() for _ in range(4)))
    practice.clock.advance(-ahead)
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    assert await practice.kinds(one["id"]) == ["held", "hold-expired"]


async def test_53_55_59_nobody_else_meanwhile(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """53, 55, 59: hold and book are refused to others: 409 naming the slot, or IHE's fatal `not-found`."""
    await held(callers.patient(camille), agenda, camille)
    yann = await practice.new_patient(given="Yann")
    rival, wanted = callers.patient(yann), appointment("proposed", slots=agenda.slots[:1], patient=yann)
    for operation in ("$hold", "$book"):
        refused = await rival.post(f"Appointment/{operation}", parameters(appointment=wanted))
        assert (refused.status_code, code(refused)) == (409, "slot-held"), refused.text
        assert agenda.slots[0] in refused.text
    refused = await rival.post(
        "Appointment/$hold", parameters(appointment_reference=ref(f"Appointment/proposal.{agenda.slots[0]}"))
    )
    [entry] = refused.json()["entry"]
    issue = entry["resource"]["issue"][0]
    assert (issue["severity"], issue["code"]) == ("fatal", "not-found")


async def test_54_a_hold_is_renewed_within_limits(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """54: so often and no more, each time with its new end; so many at once and no more."""
    caller = callers.patient(camille)
    path = f"Appointment/{(await held(caller, agenda, camille))['id']}"
    for _ in range(practice.settings.hold_extensions_max):
        practice.clock.advance(timedelta(seconds=1))
        answer = await caller.post(f"{path}/$hold", parameters())
        end = practice.clock.now() + timedelta(seconds=practice.settings.hold_duration_s)
        assert (answer.status_code, until(answer.json())) == (200, utc(end)), answer.text
    practice.clock.advance(-timedelta(seconds=practice.settings.hold_extensions_max))
    spent = await caller.post(f"{path}/$hold", parameters())
    assert (spent.status_code, code(spent)) == (422, "hold-not-extensible"), spent.text
    await held(caller, agenda, camille, 1)
    wanted = appointment("proposed", slots=agenda.slots[2:3], patient=camille)
    one_more = await caller.post("Appointment/$hold", parameters(appointment=wanted))
    assert (one_more.status_code, code(one_more)) == (429, "too-many-holds"), one_more.text


@pytest.mark.parametrize(
    "way", ["appointment-reference", "appt-id", "appt-resource", "appointment", "bare", "post"]
)
async def test_56_60_every_spelling_books(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    """56, 60: by reference, by resource, bare, or as a plain create; a new one is 201 with its place and version."""
    caller = callers.patient(camille)
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    if way in ("appointment-reference", "appt-id"):
        stored = (await caller.post("Appointment", wanted)).json()["id"]
        value = ref(f"Appointment/{stored}") if way == "appointment-reference" else stored
        body: Resource = parameters(**{way.replace("-", "_"): value})
    else:
        body = wanted if way == "bare" else parameters(**{way.replace("-", "_"): wanted})
    if way == "post":
        answer = await caller.post("Appointment", {**wanted, "status": "booked"})
    else:
        answer = await caller.post("Appointment/$book", body)
    assert answer.status_code in (200, 201), answer.text
    resource = answer.json()
    if resource["resourceType"] == "Bundle":
        resource = resource["entry"][0]["resource"]
    else:
        assert answer.headers["etag"] == f'W/"{resource["meta"]["versionId"]}"'
        assert f"/Appointment/{resource['id']}/_history/" in answer.headers["location"]
    assert resource["status"] == "booked"
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]


async def test_62_booked_in_the_background(callers: Callers, agenda: Agenda, camille: str) -> None:
    """62: taken in at once, with the address at which the answer will be."""
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    answer = await callers.patient(camille).post("Appointment/$book", wanted, Prefer="respond-async")
    assert answer.status_code == 202, answer.text
    assert answer.headers["content-location"].startswith("http")


async def test_63_the_slots_of_an_agenda_and_a_time(callers: Callers, agenda: Agenda, camille: str) -> None:
    """63: found from the agenda, start and end; with neither it is 400."""
    caller = callers.patient(camille)
    wanted = appointment("proposed", patient=camille, start=agenda.at(1))
    found = await caller.post(
        "Appointment/$book", parameters(appt_resource=wanted, schedule=ref(f"Schedule/{agenda.id}"))
    )
    assert (found.status_code, found.json()["slot"]) == (201, [ref(f"Slot/{agenda.slots[1]}")]), found.text
    nothing = await caller.post("Appointment/$book", wanted)
    assert nothing.status_code == 400, nothing.text


async def test_64_65_who_and_when_not(callers: Callers, practice: Practice, camille: str) -> None:
    """64, 65: for nobody, for two, for the dead or those out of use; in the past, outside the horizon: each by its code."""
    caller, software = callers.patient(camille), callers.software()
    agenda = await practice.open_agenda(planningHorizon={"start": "2026-11-01", "end": "2026-11-20"})
    free = await practice.open_agenda()
    past = await practice.open_agenda(1, start=practice.clock.now() - timedelta(hours=1))
    dead = await practice.new_patient(deceasedBoolean=True)
    gone = await practice.new_patient(active=False)
    other = await practice.new_patient()

    def wanted(of: Agenda, *people: str) -> Resource:
        return appointment("proposed", slots=of.slots[:1], actors=people)

    for who, body, expected in (
        (caller, wanted(agenda, camille), "outside-horizon"),
        (caller, wanted(past, camille), "slot-in-the-past"),
        (caller, wanted(free, camille, other), "not-yours"),
        (software, wanted(free), "no-patient"),
        (software, wanted(free, dead), "patient-unavailable"),
        (software, wanted(free, gone), "patient-unavailable"),
    ):
        answer = await who.post("Appointment/$book", body)
        assert (answer.status_code in (403, 422), code(answer)) == (True, expected), answer.text


async def test_66_no_text_is_cut(callers: Callers, agenda: Agenda, camille: str) -> None:
    """66: what is too long is refused, and what is not comes back whole."""
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    caller = callers.patient(camille)
    long = await caller.post("Appointment/$book", {**wanted, "comment": "é" * 1_100_000})
    assert long.status_code in (413, 422), long.status_code
    whole = await caller.post("Appointment/$book", {**wanted, "comment": "é" * 500})
    assert whole.json()["comment"] == "é" * 500, whole.text


async def test_67_a_patient_whom_the_booking_brings(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """67: registered with it, once, by a practice."""
    known = unique("patient")
    brought = {"resourceType": "Patient", "active": True, "name": [{"family": known}]}
    wanted = appointment("proposed", slots=agenda.slots[:1])
    wanted["participant"] = [{"actor": ref(agenda.practitioner), "status": "accepted"}]
    answer = await callers.software().post(
        "Appointment/$book", parameters(appt_resource=wanted, patient_resource=brought), Idempotency_Key=known
    )
    again = await callers.software().post("Appointment/$book", parameters(appt_resource=wanted))
    assert answer.status_code == 201, answer.text
    assert again.status_code in (409, 422), again.text
    found = await callers.software().get("Patient", family=known)
    assert found.json()["total"] == 1


async def test_68_sent_again_it_is_booked_once(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """68: by the same key, by a condition on its identifier; a dozen at once too."""
    caller, own = callers.software(), {"system": "urn:rdv", "value": unique("rdv")}
    wanted = {
        **appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start),
        "identifier": [own],
    }
    condition = f"identifier={own['system']}|{own['value']}"
    answers = await asyncio.gather(
        *(caller.post("Appointment", wanted, If_None_Exist=condition) for _ in range(12))
    )
    assert sorted({a.status_code for a in answers}) == [200, 201], {a.text for a in answers}
    assert len({a.json()["id"] for a in answers}) == 1
    assert await practice.kinds(answers[0].json()["id"]) == ["booked"]


ILLEGAL = [
    (before, after)
    for before, after in product(APPOINTMENT_STATUSES, APPOINTMENT_STATUSES)
    if (before, after) not in TRANSITIONS and before not in ("noshow", "entered-in-error")
]


async def test_73_80_the_published_machine_is_kept(
    callers: Callers, practice: Practice, camille: str
) -> None:
    """73, 80: whatever is not in the table is refused, naming from and to; the practice does what is."""
    software = callers.software()
    agenda = await practice.open_agenda(len(APPOINTMENT_STATUSES))
    reached: dict[str, str] = {}
    for index, status in enumerate(APPOINTMENT_STATUSES):
        if (None, status) not in TRANSITIONS or status in ("noshow", "entered-in-error"):
            continue
        wanted = appointment(
            status, slots=agenda.slots[index : index + 1], patient=camille, start=agenda.at(index)
        )
        stored = await software.post("Appointment", wanted)
        assert stored.status_code == 201, stored.text
        reached[status] = f"Appointment/{stored.json()['id']}"
    for before, after in ILLEGAL:
        refused = await software.patch(reached[before], status_of(after))
        assert (refused.status_code, code(refused)) == (422, "illegal-transition"), (before, after)
        assert f"from {before} to {after}" in refused.text
    for step in ("arrived", "checked-in", "fulfilled"):
        done = await software.patch(reached["booked"], status_of(step))
        assert (done.status_code, done.json()["status"]) == (200, step), done.text


async def test_80_missed_only_after_it_began(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """80: not before; and none of these moves is a patient's."""
    caller, software = callers.patient(camille), callers.software()
    path = await booked(caller, agenda, camille)
    early = await software.patch(path, status_of("noshow"))
    assert (early.status_code, code(early)) == (422, "not-started"), early.text
    entered = appointment("noshow", slots=agenda.slots[1:2], patient=camille, start=agenda.at(1))
    answer = await software.post("Appointment", entered)
    assert (answer.status_code, code(answer)) == (422, "not-started"), answer.text
    for status in ("arrived", "checked-in", "fulfilled", "noshow"):
        refused = await caller.patch(path, status_of(status))
        assert (refused.status_code, code(refused)) == (403, "status-not-yours"), reason(refused)
    practice.clock.advance(timedelta(days=8))
    missed = await software.patch(path, status_of("noshow"))
    practice.clock.advance(-timedelta(days=8))
    assert (missed.status_code, missed.json()["status"]) == (200, "noshow"), missed.text


async def test_77_refused_the_old_one_stays(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """77: the old one is given up only if the new one is had, and nothing says otherwise."""
    caller, rival = callers.patient(camille), await practice.new_patient()
    old = await booked(caller, agenda, camille)
    await booked(callers.patient(rival), agenda, rival, 1)
    taken = appointment("proposed", slots=agenda.slots[1:2], patient=camille)
    refused = await caller.post(
        "Appointment/$book", parameters(appt_resource=taken, cancelled_appt_id=old.partition("/")[2])
    )
    assert refused.status_code == 409, refused.text
    kept = await read(callers.software(), old)
    assert (kept["status"], said(kept)) == ("booked", {})
    assert REPLACES not in str(kept)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("/start", "2026-11-23T10:00:00Z", "use-reschedule"),
        ("/slot/0/reference", "Slot/autre", ""),
        ("/participant/0/actor/reference", "Patient/autre", ""),
        ("/priority", 1, "element-not-yours"),
        ("/patientInstruction", "x", "element-not-yours"),
    ],
)
async def test_78_79_what_a_patch_leaves(
    callers: Callers, agenda: Agenda, camille: str, path: str, value: object, expected: str
) -> None:
    """78, 79: neither time, slot nor patient; only what is on the published list."""
    caller = callers.patient(camille)
    appointment_ = await booked(caller, agenda, camille)
    before = await read(caller, appointment_)
    refused = await caller.patch(appointment_, [{"op": "add", "path": path, "value": value}])
    assert refused.status_code in (403, 422), refused.text
    assert not expected or code(refused) == expected, refused.text
    assert await read(caller, appointment_) == before
    words = [{"op": "add", "path": "/comment", "value": "au 2e étage"}]
    assert (await caller.patch(appointment_, words)).status_code == 200


class TestEndedPatients:
    @pytest.mark.parametrize(
        ("how", "why"), [({"deceasedBoolean": True}, "pat-dec"), ({"active": False}, "other")]
    )
    async def test_84_what_was_booked_is_looked_at_again(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, how: Resource, why: str
    ) -> None:
        """84: cancelled with why, the slot free, the practice told, and that the patient is told nothing; what is past stays."""
        path, software = await booked(callers.patient(camille), agenda, camille), callers.software()
        was = appointment("fulfilled", patient=camille, start=practice.clock.now() - timedelta(days=9))
        past = (await software.post("Appointment", was)).json()["id"]
        stored = (await software.get(camille)).json()
        assert (await software.put(camille, {**stored, **how})).status_code == 200
        seen = await read(software, path)
        assert (seen["status"], seen["cancelationReason"]["coding"][0]["code"]) == ("cancelled", why)
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
        kind, data = (await told(practice, seen["id"]))[-1]
        assert (kind, data["cancellation"]["recordEnded"]) == ("cancelled", True)
        assert (await read(software, f"Appointment/{past}"))["status"] == "fulfilled"

    @pytest.mark.parametrize("said", [{"active": False}, {}], ids=["inactive", "by its link alone"])
    async def test_84_a_merged_record_hands_its_visits_over(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, said: Resource
    ) -> None:
        """84: to the record that replaces it, whose account sees it then, and who is nowhere else at that time. R4: a record
        that a link says is replaced must no longer be used, so nothing more is booked for it."""
        path, software = await booked(callers.patient(camille), agenda, camille), callers.software()
        other = await practice.new_patient(given="Camille")
        stored = (await software.get(camille)).json()
        merged = {**stored, **said, "link": [{"other": ref(other), "type": "replaced-by"}]}
        assert (await software.put(camille, merged)).status_code == 200
        seen = await read(callers.patient(other), path)
        assert (seen["status"], seen["participant"][0]["actor"]) == ("booked", ref(other))
        assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]
        assert await practice.occupied(camille) == []
        assert len(await practice.occupied(other)) == 1
        kind, data = (await told(practice, seen["id"]))[-1]
        assert (kind, data["patient"]) == ("updated", other)
        late = appointment("booked", slots=agenda.slots[1:2], patient=camille, start=agenda.at(1))
        for caller in (callers.patient(camille), software):
            refused = await caller.post("Appointment", late)
            assert (refused.status_code, code(refused)) == (422, "patient-unavailable")

    async def test_84_the_record_that_replaces_it_may_be_named_by_an_identifier(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """84: also by one that both records bear; or, of this base, by its address or one version."""
        path, software = await booked(callers.patient(camille), agenda, camille), callers.software()
        own = {"system": "https://cabinet.example/dossiers", "value": unique("dossier")}
        other = await practice.new_patient(given="Camille", identifier=[own])
        stored = (await software.get(camille)).json()
        link = {"other": {"identifier": own}, "type": "replaced-by"}
        answer = await software.put(camille, {**stored, "identifier": [own], "link": [link]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["link"][0]["other"] == {"identifier": own, **ref(other)}
        seen = await read(callers.patient(other), path)
        assert (seen["status"], seen["participant"][0]["actor"]) == ("booked", ref(other))

    async def test_84_visits_go_to_the_last_of_the_records_that_replace_each_other(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """84: the second record had been replaced before the first was."""
        path, software = await booked(callers.patient(camille), agenda, camille), callers.software()
        second, last = [await practice.new_patient(given="Camille") for _ in range(2)]
        for old, new in ((second, last), (camille, second)):
            stored = (await software.get(old)).json()
            merged = {**stored, "link": [{"other": ref(new), "type": "replaced-by"}]}
            assert (await software.put(old, merged)).status_code == 200
        seen = await read(callers.patient(last), path)
        assert (seen["status"], seen["participant"][0]["actor"]) == ("booked", ref(last))

    @pytest.mark.parametrize(
        "other",
        [
            {"reference": "https://elsewhere.example/fhir/Patient/b"},
            {"identifier": {"system": "https://elsewhere.example/dossiers", "value": "b"}},
            {"reference": "Patient/nobody"},
            {"reference": "itself"},
        ],
    )
    async def test_84_a_record_with_visits_is_replaced_by_none_that_is_not_known_here(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, other: Resource
    ) -> None:
        """84: its visits would be cancelled, and nobody told. Without visits to come nothing is lost by it."""
        path, software = await booked(callers.patient(camille), agenda, camille), callers.software()
        stored = (await software.get(camille)).json()
        other = ref(camille) if other.get("reference") == "itself" else other
        merged = {**stored, "link": [{"other": other, "type": "replaced-by"}]}
        refused = await software.put(camille, merged)
        assert (refused.status_code, code(refused)) == (422, "unknown-patient"), refused.text
        assert (await read(software, path))["status"] == "booked"
        cancelled = [{"op": "replace", "path": "/status", "value": "cancelled"}]
        assert (await software.patch(path, cancelled)).status_code == 200
        assert (await software.put(camille, merged)).status_code == 200

    async def test_84_records_with_two_visits_at_one_time_are_merged(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """84: both visits stand, of practices that may not know each other; the one that comes over says why."""
        software, other = callers.software(), await practice.new_patient(given="Camille")
        elsewhere = await practice.open_agenda(start=agenda.start)
        path = await booked(callers.patient(camille), agenda, camille)
        there = await booked(callers.patient(other), elsewhere, other)
        stored = (await software.get(camille)).json()
        merged = {**stored, "link": [{"other": ref(other), "type": "replaced-by"}]}
        answer = await software.put(camille, merged)
        assert answer.status_code == 200, answer.text
        seen = await read(callers.patient(other), path)
        assert (seen["status"], seen["participant"][0]["actor"]) == ("booked", ref(other))
        assert DOUBLE_BOOKING_REASON in [extension["url"] for extension in seen["extension"]]
        assert (await read(software, there))["status"] == "booked"
        assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]
        cancelled = [{"op": "replace", "path": "/status", "value": "cancelled"}]
        assert (await software.patch(path, cancelled)).status_code == 200
        assert len(await practice.occupied(other)) == 1, "the other visit's own"
