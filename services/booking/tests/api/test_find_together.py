"""`$find` of several: separate agendas, preference, patients, series, pages, spellings (checklist 36-42, 45, 47)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    CONSULTATION,
    SKIN,
    VIDEO,
    appointment,
    parameters,
    patient,
    ref,
    schedule,
    slot,
    unique,
    utc,
)
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import open_surgery

from creneau_booking.operations.finding import find_together
from creneau_booking.operations.finding.find_together import JOINT_PREFIX
from creneau_shared.fhir.storage.store import Resource

DAY = timedelta(days=1)
TWENTY = timedelta(minutes=20)
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment."


@pytest.fixture
def monday(practice: Practice) -> datetime:
    """Nine o'clock in Paris, a week from now."""
    return practice.clock.now().replace(hour=8, minute=0, second=0, microsecond=0) + 7 * DAY


def window(start: datetime, days: int = 1) -> dict[str, str]:
    return {"start": utc(start), "end": utc(start + days * DAY)}


async def room(
    practice: Practice, *starts: datetime, length: timedelta = TWENTY, kind: str = "Location"
) -> Agenda:
    """An agenda of a room or a device alone."""
    actor, id_ = f"{kind}/{unique(kind.lower())}", unique("agenda")
    await practice.put(schedule(id_, [actor]))
    ids = [(await practice.put(slot(unique("salle"), id_, start, length, specialty=[]))) for start in starts]
    return Agenda(id_, actor, actor, starts[0], tuple(i.removeprefix("Slot/") for i in ids))


async def bundle_of(caller: Caller, **given: Any) -> Any:
    answer = await caller.post("Appointment/$find", parameters(**given))
    assert answer.status_code == 200, answer.text
    return answer.json()


def proposals_of(bundle: Any) -> list[Resource]:
    return [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]


def slots_of(bundle: Any) -> list[list[str]]:
    return [[s["reference"].removeprefix("Slot/") for s in p["slot"]] for p in proposals_of(bundle)]


async def test_joint_of_separate_agendas(callers: Callers, practice: Practice, monday: datetime) -> None:
    """A professional, a room and a device (38): one slot of each at the same time, whoever else is free then; AND between
    kinds, OR within (37); what is held or taken is in no proposal (39); everybody's actors take part, the total is told (40)."""
    doctor = await practice.open_agenda(4, start=monday)
    one = await room(practice, monday, monday + TWENTY)
    two = await room(practice, monday + TWENTY, monday + 3 * TWENTY)
    scanner = await room(practice, *(monday + n * TWENTY for n in range(4)), kind="Device")
    asked = {
        **window(monday),
        "practitioner": ref(doctor.practitioner),
        "location_reference": [ref(two.location), ref(one.location)],
        "device": ref(scanner.location),
    }
    bundle = await bundle_of(callers.nobody(), **asked)
    assert slots_of(bundle) == [
        [doctor.slots[0], one.slots[0], scanner.slots[0]],
        [doctor.slots[1], two.slots[0], scanner.slots[1]],
        [doctor.slots[1], one.slots[1], scanner.slots[1]],
        [doctor.slots[3], two.slots[1], scanner.slots[3]],
    ]
    assert bundle["total"] == 4
    first = proposals_of(bundle)[0]
    assert {p["actor"]["reference"] for p in first["participant"]} == {
        doctor.practitioner,
        doctor.location,
        one.location,
        scanner.location,
    }
    assert (first["status"], first["start"], first["end"]) == ("proposed", utc(monday), utc(monday + TWENTY))
    await practice.hold(appointment("proposed", slots=one.slots[:1]))
    await practice.create(appointment("booked", slots=scanner.slots[3:]))
    found = slots_of(await bundle_of(callers.nobody(), **asked))
    assert [doctor.slots[1]] * 2 == [slots[0] for slots in found]


async def test_a_larger_slot_covers_where_a_part_may_be_taken(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """Open time of a room covers a visit, for patients too; a room's slot that is one visit only for the practice."""
    doctor = await practice.open_agenda(2, start=monday)
    open_room = await room(practice, monday - 2 * TWENTY, length=timedelta(hours=6))
    visit_room = await room(practice, monday - TWENTY, length=timedelta(hours=1))
    for place, patients in ((open_room, 2), (visit_room, 0)):
        asked = {
            **window(monday),
            "practitioner": ref(doctor.practitioner),
            "location_reference": ref(place.location),
        }
        early = {**asked, "start": utc(monday - DAY)}
        assert len(slots_of(await bundle_of(callers.nobody(), **early))) == patients
        assert len(slots_of(await bundle_of(callers.software(), **early))) == 2


@pytest.mark.parametrize("as_resource", [False, True])
async def test_a_joint_proposal_is_held_and_booked(
    callers: Callers, practice: Practice, monday: datetime, as_resource: bool
) -> None:
    """By its reference, or sent as it is: all of its slots at once, or none when one is gone (47)."""
    doctor = await practice.open_agenda(2, start=monday)
    other = await room(practice, monday, monday + TWENTY)
    patient = await practice.new_patient()
    someone = callers.patient(patient)
    found = await bundle_of(
        callers.nobody(),
        **window(monday),
        practitioner=ref(doctor.practitioner),
        location_reference=ref(other.location),
    )

    def named(proposal: Resource) -> Resource:
        if as_resource:
            return parameters(appointment=proposal, patient_reference=ref(patient))
        return parameters(
            appointment_reference=ref(f"Appointment/{proposal['id']}"), patient_reference=ref(patient)
        )

    first, second = proposals_of(found)
    held = await someone.post("Appointment/$hold", named(first))
    assert held.status_code in (200, 201), held.text
    both = [doctor.slots[0], other.slots[0]]
    assert await practice.slot_statuses(both) == ["busy-tentative", "busy-tentative"]
    booked = await someone.post("Appointment/$book", named(second))
    assert booked.status_code in (200, 201), booked.text
    assert await practice.slot_statuses([doctor.slots[1], other.slots[1]]) == ["busy", "busy"]
    again = await callers.software().post("Appointment/$book", named(second))
    assert again.status_code == 409 or again.json().get("total") == 0, again.text


@pytest.mark.parametrize(
    "id_", ["1.zzzzzzzzzzzzzzzzzzzz.1", "zzzzzzzzzzz.1.1", "1.1.zzzzzzzzzzzzzzzz", "-1.1.-1", "1.1", "1.0.1"]
)
async def test_what_names_no_joint_proposal_is_no_longer_there(
    callers: Callers, practice: Practice, id_: str
) -> None:
    """Times and agendas beyond all that there are: refused as a proposal that has gone, by whoever makes one up."""
    gone = await callers.patient(await practice.new_patient()).post(
        "Appointment/$hold", parameters(appt_id=f"Appointment/{JOINT_PREFIX}{id_}")
    )
    assert gone.status_code == 404, gone.text


async def test_preference_is_the_order_of_who_is_named(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """At one time, whoever is named first comes first (37); of all who are required each takes part."""
    agendas = [await practice.open_agenda(2, start=monday) for _ in range(3)]
    for order in ((0, 1, 2), (2, 0, 1)):
        named = [ref(agendas[n].practitioner) for n in order]
        found = slots_of(await bundle_of(callers.nobody(), **window(monday), practitioner=named))
        assert found == [[agendas[n].slots[at]] for at in range(2) for n in order]
    together = await bundle_of(
        callers.nobody(),
        **window(monday),
        practitioner=[ref(a.practitioner) for a in agendas[:2]],
        all_required="true",
    )
    assert slots_of(together) == [[agendas[0].slots[at], agendas[1].slots[at]] for at in range(2)]


@pytest.mark.parametrize("together", ["true", "false"])
async def test_however_few_slots_are_read_at_once(
    callers: Callers,
    practice: Practice,
    monday: datetime,
    monkeypatch: pytest.MonkeyPatch,
    together: str,
) -> None:
    """Free times are read page by page, of one agenda and of several: nothing is left out between two pages, or told twice."""
    agendas = [await practice.open_agenda(5, start=monday) for _ in range(2)]
    asked = {
        **window(monday),
        "practitioner": [ref(a.practitioner) for a in agendas],
        "all_required": together,
    }
    at_once = await bundle_of(callers.nobody(), **asked)
    assert at_once["total"] == (5 if together == "true" else 10)
    monkeypatch.setattr(find_together, "READ_AT_ONCE", 2)
    assert proposals_of(await bundle_of(callers.nobody(), **asked)) == proposals_of(at_once)


async def test_agendas_of_several_kinds_are_joint(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """Medplum names agendas: a doctor's and a room's are both needed; of two doctors' that one value names one will do."""
    doctors = [await practice.open_agenda(1, start=monday) for _ in range(2)]
    other = await room(practice, monday)
    schedules = ",".join(f"Schedule/{agenda.id}" for agenda in (*doctors, other))
    answer = await callers.nobody().get("Appointment/$find", **window(monday), schedule=schedules)
    found = slots_of(answer.json())
    assert found == [[doctor.slots[0], other.slots[0]] for doctor in doctors]


@pytest.mark.parametrize(
    ("operation", "everybody"),
    [("Appointment/$find", False), ("Appointment/$find", True), ("Slot/$prefetch", False)],
)
async def test_more_together_than_a_proposal_has_is_refused(
    callers: Callers, practice: Practice, monday: datetime, operation: str, everybody: bool
) -> None:
    """Before anything is searched: whoever names hundreds has nothing looked through."""
    rooms = [await room(practice, monday) for _ in range(7)]
    given: dict[str, Any] = (
        {"location_reference": [ref(one.location) for one in rooms], "all_required": "true"}
        if everybody
        else {"schedule": [ref(f"Schedule/{one.id}") for one in rooms]}
    )
    answer = await callers.nobody().post(operation, parameters(**window(monday), **given))
    assert answer.status_code == 422, answer.text
    (issue,) = answer.json()["issue"]
    assert (issue["code"], issue["details"]["coding"][0]["code"]) == ("too-costly", "too-many-agendas")


async def test_who_is_named_twice_is_wanted_once(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    rooms = [await room(practice, monday) for _ in range(6)]
    twice = [ref(one.location) for one in rooms] * 2
    bundle = await bundle_of(
        callers.nobody(), **window(monday), location_reference=twice, all_required="true"
    )
    assert slots_of(bundle) == [[one.slots[0] for one in rooms]]


async def test_patients_who_are_elsewhere(callers: Callers, practice: Practice, monday: datetime) -> None:
    """Of a group everybody's other visits count (38), for the practice that may see them; the appointment to move does not,
    and its own slot is free with it (45). Somebody unknown, or described, keeps nothing from being proposed (41)."""
    doctor = await practice.open_agenda(3, start=monday)
    elsewhere = await practice.open_agenda(3, start=monday)
    one, two = await practice.new_patient(), await practice.new_patient()
    visit = await practice.create(appointment("booked", slots=elsewhere.slots[:1], patient=one))
    await practice.create(appointment("booked", slots=elsewhere.slots[2:], patient=two))
    asked = {**window(monday), "practitioner": ref(doctor.practitioner)}
    group = {**asked, "patient_reference": [ref(one), ref(two)]}
    bundle = await bundle_of(callers.software(), **group)
    assert slots_of(bundle) == [[doctor.slots[1]]]
    assert {one, two} <= {p["actor"]["reference"] for p in proposals_of(bundle)[0]["participant"]}
    moving = {**group, "ignore_appointment": ref(f"Appointment/{visit.id}")}
    assert slots_of(await bundle_of(callers.software(), **moving)) == [[doctor.slots[0]], [doctor.slots[1]]]
    own = {**moving, "practitioner": ref(elsewhere.practitioner)}
    assert slots_of(await bundle_of(callers.software(), **own)) == [
        [elsewhere.slots[0]],
        [elsewhere.slots[1]],
    ]
    stranger = {"resourceType": "Patient", "name": [{"family": "Inconnue"}], "birthDate": "1990-01-01"}
    before = await practice.database.pool.fetchval("SELECT count(*) FROM patient")
    assert len(slots_of(await bundle_of(callers.nobody(), **asked, patient_resource=stranger))) == 3
    unknown = {**asked, "patient_reference": ref("Patient/personne")}
    assert len(slots_of(await bundle_of(callers.software(), **unknown))) == 3
    assert await practice.database.pool.fetchval("SELECT count(*) FROM patient") == before


async def test_a_patients_account_looks_for_one_of_its_people(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """Several are a joint visit, which patients do not book: they are told before they choose. One is one, however often."""
    agenda = await practice.open_agenda(1, start=monday)
    one, other = [await practice.new_patient() for _ in range(2)]
    asked = {**window(monday), "practitioner": ref(agenda.practitioner)}
    for caller in (callers.patient(one), callers.nobody()):
        both = parameters(**asked, patient_reference=[ref(one), ref(other)])
        refused = await caller.post("Appointment/$find", both)
        assert (refused.status_code, code(refused)) == (422, "one-patient"), refused.text
        assert slots_of(await bundle_of(caller, **asked, patient_reference=[ref(one), ref(one)])) == [
            [agenda.slots[0]]
        ]
    for_both = await bundle_of(callers.software(), **asked, patient_reference=[ref(one), ref(other)])
    assert slots_of(for_both) == [[agenda.slots[0]]]


async def test_a_practices_look_at_when_somebody_is_elsewhere_is_in_their_trail(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """Of whom it may see; nobody else was looked at."""
    surgery = await open_surgery(practice)
    registered = await callers.staff(surgery.organization).post("Patient", patient())
    known, stranger = f"Patient/{registered.json()['id']}", await practice.new_patient()
    staff = callers.staff(surgery.organization)
    asked = {**window(monday), "practitioner": ref(surgery.practitioner)}
    await bundle_of(staff, **asked, patient_reference=[ref(known), ref(stranger)])
    for who, seen in ((known, ["operation"]), (stranger, [])):
        query = {"patient": who, "agent": f"Organization/{surgery.organization}", "subtype": "operation"}
        trail = (await callers.software().get("AuditEvent", **query)).json()
        assert [e["resource"]["subtype"][0]["code"] for e in trail.get("entry", ())] == seen


async def test_a_service_by_its_type_as_well_as_by_its_name(
    callers: Callers, practice: Practice, monday: datetime
) -> None:
    """An offer is asked for: agendas that name it, and slots for what it is of in an agenda that is named beside."""
    code = {"coding": [{"system": "https://exemple.fr/prestations", "code": unique("bilan")}]}
    service = await practice.put({"resourceType": "HealthcareService", "id": unique("offre"), "type": [code]})
    by_name = await practice.open_agenda(1, start=monday, actor=[ref(service)])
    by_type = await practice.open_agenda(1, start=monday + TWENTY, slot_members={"serviceType": [code]})
    other = await practice.open_agenda(1, start=monday)
    asked = {**window(monday), "service_type_reference": ref(service)}
    found = await bundle_of(callers.nobody(), **asked)
    assert slots_of(found) == [[by_name.slots[0]], [by_type.slots[0]]]
    for agenda, count in ((by_type, 1), (other, 0)):
        narrowed = {**asked, "schedule": ref(f"Schedule/{agenda.id}")}
        assert len(slots_of(await bundle_of(callers.nobody(), **narrowed))) == count


async def test_series_at_local_time(callers: Callers, practice: Practice) -> None:
    """Three visits, every two weeks at nine o'clock in Paris, across the change of clocks; each proposal with all of its
    visits; a week without one is no series."""
    first = datetime.fromisoformat("2027-03-22T08:00:00+00:00")
    agenda = await practice.open_agenda(1, start=first)
    hours = [first + n * 7 * DAY - (timedelta(hours=1) if n else timedelta(0)) for n in range(1, 5)]
    later = [(await practice.fill(agenda.id, 1, at))[1][0] for at in hours]
    _, [astray] = await practice.fill(agenda.id, 1, first + timedelta(hours=1))
    asked = {**window(first, 2), "practitioner": ref(agenda.practitioner)}
    bundle = await bundle_of(callers.nobody(), **asked, occurrence_count="3", occurrence_interval="2")
    assert bundle["total"] == 1
    visits = [e["resource"] for e in bundle["entry"]]
    assert [e["search"]["mode"] for e in bundle["entry"]] == ["match", "include", "include"]
    assert [v["slot"][0]["reference"] for v in visits] == [
        f"Slot/{id_}" for id_ in (agenda.slots[0], later[1], later[3])
    ]
    numbers = [
        e["valuePositiveInt"] for v in visits for e in v["extension"] if e["url"] == f"{R5}recurrenceId"
    ]
    assert numbers == [1, 2, 3]
    assert astray not in str(bundle)
    weekly = await bundle_of(callers.nobody(), **asked, occurrence_count="5")
    assert weekly["total"] == 1
    assert (await bundle_of(callers.nobody(), **asked, occurrence_count="6"))["total"] == 0
    timing = {
        "name": "timing",
        "valueTiming": {"repeat": {"count": 3, "frequency": 1, "period": 2, "periodUnit": "wk"}},
    }
    body = parameters(**asked)
    body["parameter"].append(timing)
    by_timing = (await callers.nobody().post("Appointment/$find", body)).json()
    assert [e["resource"]["id"] for e in by_timing["entry"]] == [v["id"] for v in visits]


@pytest.mark.parametrize("joint", [False, True])
async def test_pages(callers: Callers, practice: Practice, monday: datetime, joint: bool) -> None:
    """`_count`, total and link[next] (40): every proposal once, in order, by GET as by POST."""
    doctor = await practice.open_agenda(5, start=monday)
    other = await room(practice, *(monday + n * TWENTY for n in range(5)))
    asked: dict[str, Any] = {**window(monday), "practitioner": ref(doctor.practitioner), "_count": "2"}
    if joint:
        asked["location_reference"] = ref(other.location)
    bundle = await bundle_of(callers.nobody(), **asked)
    assert bundle["total"] == 5
    found = slots_of(bundle)
    while following := [link["url"] for link in bundle["link"] if link["relation"] == "next"]:
        answer = await callers.nobody().get(following[0].partition("/fhir/")[2])
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found += slots_of(bundle)
    assert [slots[0] for slots in found] == list(doctor.slots)


SPELLINGS: dict[str, tuple[str, dict[str, str]]] = {
    "IHE practitioner": ("valueReference", {"practitioner": "practitioner"}),
    "IHE location-reference": ("valueReference", {"location-reference": "location"}),
    "IHE specialty": ("valueCodeableConcept", {"specialty": "SM15"}),
    "IHE visit-type": ("valueCodeableConcept", {"visit-type": "VR"}),
    "IHE, as the example types it": ("valueString", {"practitioner": "practitioner", "specialty": "SM15"}),
    "Argonaut practitioner": ("valueUri", {"practitioner": "practitioner"}),
    "Argonaut practitioner by url": ("valueUrl", {"practitioner": "practitioner"}),
    "Argonaut location-reference": ("valueUri", {"location-reference": "location"}),
    "Medplum schedule": ("valueReference", {"schedule": "schedule"}),
    "Medplum schedule and service": (
        "valueReference",
        {"schedule": "schedule", "service-type-reference": "service"},
    ),
    "FHIR id": ("valueId", {"schedule": "schedule"}),
    "FHIR code": ("valueCode", {"specialty": "SM15", "visit-type": "VR"}),
}
"""how a guide says it: the type of the values, and name → what it names"""
BESIDE: dict[str, dict[str, Any]] = {
    "reason": {"valueCodeableConcept": {"coding": [{"code": "27624003"}]}},
    "referral-identifier": {"valueIdentifier": {"value": "ORD-1"}},
    "insurance-reference": {"valueReference": {"reference": "Coverage/1"}},
    "coverage": {"resource": {"resourceType": "Coverage", "status": "active", "beneficiary": {"display": "x"},
                              "payor": [{"display": "x"}]}},
}  # fmt: skip
"""what the guides let one say beside, and what keeps nothing from being found"""


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_spellings(callers: Callers, practice: Practice, monday: datetime, spelling: str) -> None:
    """Every spelling of the guides (36), in a Parameters and in an address, finds the same."""
    service = f"HealthcareService/{unique('offre')}"
    actors = {"practitioner": f"Practitioner/{unique('prat')}", "location": f"Location/{unique('lieu')}"}
    agenda = await practice.open_agenda(
        2,
        start=monday,
        actor=[ref(a) for a in (*actors.values(), service)],
        slot_members={"specialty": [SKIN], "serviceType": [VIDEO, CONSULTATION]},
    )
    meant = {**actors, "service": service, "schedule": f"Schedule/{agenda.id}"}
    value_type, named = SPELLINGS[spelling]
    parts: list[Resource] = []
    for name, what in named.items():
        text = meant.get(what, what)
        value: Any = text
        if value_type == "valueReference":
            value = ref(text)
        elif value_type == "valueCodeableConcept":
            value = {"coding": [{"code": text}]}
        elif value_type == "valueId":
            value = text.rpartition("/")[2]
        parts.append({"name": name, value_type: value})
    narrow = {"name": "schedule", "valueReference": ref(f"Schedule/{agenda.id}")}
    if not named.keys() & {"schedule", "practitioner", "location-reference"}:
        parts.append(narrow)
    times = [{"name": n, "valueDateTime": v} for n, v in window(monday).items()]
    beside = [{"name": name, **value} for name, value in BESIDE.items()]
    answer = await callers.nobody().post(
        "Appointment/$find", {"resourceType": "Parameters", "parameter": [*times, *parts, *beside]}
    )
    assert answer.status_code == 200, answer.text
    assert slots_of(answer.json()) == [[id_] for id_ in agenda.slots]
    query = {name: meant.get(what, what) for name, what in named.items()}
    if narrow in parts:
        query["schedule"] = f"Schedule/{agenda.id}"
    by_get = await callers.nobody().get("Appointment/$find", **window(monday), **query)
    assert slots_of(by_get.json()) == [[id_] for id_ in agenda.slots]
