"""What agendas say, and who comes and goes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from services.booking.tests.factories import slot, utc
from services.booking.tests.life.comparing import Comparing, agendas, picks, sides
from services.booking.tests.life.model import Model
from services.booking.tests.life.world import (
    BLOCKS,
    VISIT,
    WIDTH,
    asked_by,
    room,
    rule_of,
    version,
)
from services.booking.tests.surgery import hear, role_resource

from creneau_booking.storage.outside.calendars import keep_busy
from creneau_booking.storage.outside.followed_calendars import follow_calendar
from creneau_shared.fhir.storage.store import Resource

AGENDAS = ("cabinet", "annexe", "salle", "groupe", "confirme", "flux", "regles")


class Agendas(Comparing):
    """What agendas say, and who comes and goes."""

    @rule(agenda=st.sampled_from(["cabinet", "annexe", "groupe", "confirme", "regles"]), pick=picks,
          status=st.sampled_from(["free", "busy", "busy-unavailable"]))  # fmt: skip
    def push(self, agenda: str, pick: int, status: str) -> None:
        """Its software says again what it knows of a slot."""
        said = self.a_slot(agenda, pick)
        if said is None:
            return
        id_, key = self.ids[said.key], said.key
        self.do(
            f"{agenda} says {status} of {said.start:%d %H:%M}",
            self.town.software().put(
                f"Slot/{id_}", slot(id_, agenda, said.start, said.end - said.start, status)
            ),
            lambda model, _: model.say(key, status),
        )

    @rule(agenda=st.sampled_from(["cabinet", "annexe", "groupe"]), pick=picks)
    def remove(self, agenda: str, pick: int) -> None:
        if (gone := self.a_slot(agenda, pick)) is not None:
            key = gone.key
            self.do(
                f"{agenda} removes {gone.start:%d %H:%M}",
                self.town.software().delete(f"Slot/{self.ids[key]}"),
                lambda model, _: model.remove(key),
            )

    @rule(
        agenda=st.sampled_from(["cabinet", "annexe", "groupe"]),
        block=st.integers(0, 3),
        position=st.integers(0, 2),
    )
    def add(self, agenda: str, block: int, position: int) -> None:
        start = BLOCKS[block] + position * VISIT
        key = (agenda, start, start + VISIT)
        if self.model.at(key) is None:
            self.pushed += 1
            id_ = f"{agenda}-{self.pushed}-more"
            self.do(
                f"{agenda} adds {start:%d %H:%M}",
                self.town.software().put(f"Slot/{id_}", slot(id_, agenda, start, VISIT)),
                lambda model, _: model.say(key, "free"),
            )

    @rule(
        block=st.integers(0, 3),
        said=st.lists(
            st.sampled_from(["free", "free", "busy", "busy-unavailable", None]), min_size=3, max_size=3
        ),
    )
    def synchronise(self, block: int, said: list[str | None]) -> None:
        """The feed says what there is in a block."""
        low = BLOCKS[block]
        high = low + WIDTH * VISIT
        told = {
            ("flux", low + n * VISIT, low + (n + 1) * VISIT): status
            for n, status in enumerate(said)
            if status
        }
        entries = []
        for (_, start, _), status in told.items():
            one = slot("x", "flux", start, VISIT, status)
            del one["id"]
            entries.append({"resource": one})
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        path = f"Schedule/flux/$sync-slots?from={utc(low)}&to={utc(high)}"

        def then(model: Model, body: Any) -> bool:
            counts = model.synchronise("flux", (low, high), told)
            if body is not None:
                answered = {p["name"]: p["valueInteger"] for p in body["parameter"] if "valueInteger" in p}
                assert answered == counts
            return True

        self.do(f"flux synchronises {low:%d %H:%M} {said}", self.town.software().post(path, bundle), then)

    @rule(agenda=agendas, block=st.integers(0, 3), again=sides)
    def close(self, agenda: str, block: int, again: bool) -> None:
        """A block of time is closed, and what is there cancelled; or it is opened again."""
        low, high = BLOCKS[block] - timedelta(hours=1), BLOCKS[block] + timedelta(hours=3)
        call: Resource = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "period", "valuePeriod": {"start": utc(low), "end": utc(high)}},
                {"name": "action", "valueCode": "reopen" if again else "cancel"},
                {"name": "confirm", "valueBoolean": True},
            ],
        }

        def then(model: Model, body: Any) -> bool:
            if high <= model.now:
                return False
            if again:
                model.reopen(agenda, low, high)
                if agenda == "regles":
                    model.restate(agenda, asked_by(self.variant))
                return True
            hit = model.close(agenda, low, high)
            if body is not None:
                told = [
                    part["valueReference"]["reference"].removeprefix("Appointment/")
                    for p in body["parameter"]
                    if p["name"] == "appointment"
                    for part in p["part"]
                    if part["name"] == "reference"
                ]
                assert sorted(told) == sorted(hit), f"closing hits {hit}, and it was told {told}"
                hit = told
            for id_ in hit:
                visit = model.visits[id_]
                if visit.keeps == "offer":
                    model.decline(id_)
                elif visit.status in ("booked", "pending"):
                    model.cancel(id_, by_patient=False)
                model.offer()
            return True

        what = f"{agenda} {'reopens' if again else 'closes'} {low:%d %H:%M}"
        self.do(what, self.town.software().post(f"Schedule/{agenda}/$close", call), then)

    @rule(variant=st.integers(0, 3))
    def state_other_rules(self, variant: int) -> None:
        def then(model: Model, _: Any) -> bool:
            model.restate("regles", asked_by(variant))
            return True

        self.variant = variant
        self.do(
            f"regles: variant {variant}", self.town.software().put("Schedule/regles", rule_of(variant)), then
        )

    @rule(who=st.sampled_from(["PractitionerRole/one-b", "PractitionerRole/two-a", "Location/room"]))
    def come_or_go(self, who: str) -> None:
        """The directory says that a situation of practice, or a room, is no more; or is there again."""
        self.words += 1
        back = who in self.model.gone
        if who == "Location/room":
            said = room("active" if back else "suspended")
        else:
            name = who.partition("/")[2]
            person, organization = name.split("-")
            said = role_resource(name, f"Practitioner/{person}", organization, active=back)

        async def speak() -> None:
            await hear(self.town.practice, version(said, self.words))

        def then(model: Model, _: Any) -> bool:
            closed = [agenda for agenda in model.agendas if not model.is_open(agenda)]
            model.gone = model.gone - {who} if back else model.gone | {who}
            for agenda in closed:
                if model.is_open(agenda):
                    model.free_again(agenda)
            return True

        self.do(f"the directory: {who} {'comes' if back else 'goes'}", speak(), then)

    @rule(agenda=st.sampled_from(["cabinet", "annexe", "flux"]), block=st.integers(0, 3), first=st.integers(0, 3),
          length=st.integers(0, 2))  # fmt: skip
    def be_busy_elsewhere(self, agenda: str, block: int, first: int, length: int) -> None:
        """The professional's own calendar says when they are busy."""
        low = BLOCKS[block] + first * timedelta(minutes=10)
        times = [(low, low + length * VISIT)] if length else []
        practice = self.town.practice

        async def read() -> None:
            now = practice.clock.now()
            async with practice.database.transaction() as connection:
                await follow_calendar(connection, agenda, f"https://exemple.fr/{agenda}.ics", now)
                await keep_busy(connection, agenda, times, (now, now + timedelta(days=60)), now)

        def then(model: Model, _: Any) -> bool:
            model.calendar(agenda, times)
            return True

        self.do(f"{agenda} busy elsewhere {times}", read(), then)
