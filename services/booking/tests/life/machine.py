"""The machine that lives in the town: whatever clients, practices, software, the directory and time may do, in any order,
over HTTP; after each step the database says what the model says."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from services.booking.tests.life.agendas import Agendas
from services.booking.tests.life.becoming import Becoming
from services.booking.tests.life.booking import Booking
from services.booking.tests.life.comparing import offer_of
from services.booking.tests.life.together import Together

AGENDAS = ("cabinet", "annexe", "salle", "groupe", "confirme", "flux", "regles")


class Life(Booking, Becoming, Together, Agendas):
    """One life of the town."""

    @rule(
        minutes=st.sampled_from([1, 11, 50, 300, 780, 1500, 4000]),
        swept=st.sampled_from([True, True, True, False]),
    )
    def pass_time(self, minutes: int, swept: bool) -> None:
        self.town.practice.clock.advance(timedelta(minutes=minutes))
        self.model.now = self.town.practice.clock.now()
        note(f"{self.model.now:%d %H:%M:%S} {minutes} minutes have passed")
        if swept:
            self.sweep()

    @precondition(lambda self: self.model.run_out())
    @rule()
    def sweep(self) -> None:
        """What the worker does within a second of an end."""

        async def work() -> None:
            await self.town.practice.jobs().expire_holds()

        self.loop.run(work())
        events = self.loop.run(self._told())
        model = self.model
        model.told = [offer_of(data) for kind, data in events if kind == "offered"]
        for kind, data in events:
            if kind in ("hold-expired", "cancelled"):
                visit = model.visits[data["appointment"]]
                assert model.has_run_out(visit), f"{visit} was ended before its time"
                model.expire(visit)
        assert not model.run_out(), f"have run out, and are not ended: {model.run_out()}"
        assert not model.told, f"offered without need: {model.told}"
        note(f"{model.now:%d %H:%M:%S} swept: {[(kind, data['appointment'][-6:]) for kind, data in events]}")
        self.check()
