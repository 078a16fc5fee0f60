"""The first free slot of each agenda, in the order of time or of distance, by the index of first free starts.

`first_free` says when the first free slot of each kind of each agenda begins; `found_by` says by what the kind is found.
Agendas are taken in the order of these starts (their *heads*). For each, the search looks for the first slot that the caller
could book: nearly always the one at its head. It is a later one if time has passed since, or if a rule of the agenda keeps
the first from the caller. Nothing is shown that the one truth (`storage.availability`) does not call free.

- If agendas are named (people, places, organisations), or a speciality or surroundings that few enough fit, these are
  gathered: the heads of all of them are known at once.
- Otherwise heads are read as they come, of whichever agenda: if many agendas fit, some of the next few always do.
- If the first of these hardly ever fit, those that do are gathered by all conditions on kinds.
- If the search begins later than now, and many agendas fit, slots are read as they come in place of heads.
- Nearest first, if many fit, circles around the point are looked at that grow until one holds the page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.storage.finding.candidates import Consumer
from creneau_booking.storage.finding.soonest import bounds
from creneau_booking.storage.finding.soonest.conditions import Sought
from creneau_booking.storage.finding.soonest.first_slots import FirstSlots
from creneau_booking.storage.finding.soonest.gathering import Gathering
from creneau_booking.storage.finding.soonest.heads import First, Head, Place, Portion
from creneau_booking.storage.finding.soonest.in_time import HeadsAsTheyCome, Instants
from creneau_booking.storage.finding.soonest.nearest import Circles
from creneau_booking.storage.finding.soonest.question import Question
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.request import Condition
from creneau_shared.fhir.search.sql import Catalog, SearchScope


@dataclass(frozen=True, slots=True)
class Soonest:
    """A page. `cut`: the search stopped early, so that there may be more slots, or sooner ones."""

    found: tuple[First, ...]
    more: bool
    total: int | None
    cut: bool = False


class SoonestSearch:
    """One search, for one caller: `scope`, `conditions` (on Slot) and `consumer` say which slots are for them."""

    def __init__(
        self,
        connection: Connection,
        catalog: Catalog,
        scope: SearchScope,
        conditions: tuple[Condition, ...],
        consumer: Consumer | None,
        sought: Sought,
        *,
        now: datetime,
        read_max: int,
        counting: bool = True,
    ) -> None:
        """`counting`: whether `facets` are wanted."""
        self._question = Question(connection, sought, scope.required.get("Slot"), now, read_max, counting)
        self._slots = FirstSlots(self._question, catalog, scope, conditions, consumer)
        self._gathering = Gathering(self._question)
        self._walked: Circles | HeadsAsTheyCome | Instants | None = None

    async def page(self, count: int, after: Place | None) -> Soonest:
        """Returns the next `count` of the answer after a place in its order."""
        found: list[First] = []
        wanted: list[First] = []
        whole = False
        async for heads, frontier in self._heads(after):
            found += await self._slots.of(heads)
            found.sort(key=self._place_of)
            wanted = [one for one in found if after is None or self._place_of(one) > after]
            whole = frontier is None
            if frontier is not None:
                settled = [one for one in wanted if self._place_of(one) <= frontier]
                if len(settled) > count:
                    wanted = settled
                    break
        # Circles leave out what comes before.
        whole = whole and (
            after is None or not self._question.sought.by_distance or self._gathering.kinds is not None
        )
        total = len(found) if whole and not self._cut else None
        return Soonest(tuple(wanted[:count]), len(wanted) > count, total, cut=self._cut)

    def _place_of(self, one: First) -> Place:
        return one.place(by_distance=self._question.sought.by_distance)

    async def following(self, firsts: Sequence[First], most: int) -> list[First]:
        """Returns up to `most` slots of each of these agendas that the caller could book, `firsts` among them, in order."""
        return await self._slots.following(firsts, most)

    def facets(self) -> tuple[int | None, dict[str, dict[str, int]]]:
        """Returns, once there is a page, how many fitting agendas have a free slot (None: more than are gathered), and for
        each facet their number by code."""
        return self._gathering.agendas_fitting, self._gathering.counts

    async def _heads(self, after: Place | None) -> AsyncIterator[tuple[Sequence[Head], Place | None]]:
        """Yields agendas in the order of the answer, as far as heads tell it, some at a time. With them yields the place up
        to which all agendas have been given (None: these were all)."""
        own = await self._slots.own_heads()
        if own:
            yield own, self._question.begin()
        known = {head.schedule for head in own}
        await self._gathering.gather()
        if self._gathering.kinds is None:
            async for heads, place in self._walk(after):
                new = [head for head in heads if head.schedule not in known]
                known |= {head.schedule for head in new}
                for some, last in self._portions(new):
                    yield some, place if last else self._question.place(some[-1])
                if place is None:
                    return
        if self._gathering.kinds is not None:
            heads = [head for head in await self._gathering.heads() if head.schedule not in known]
            for some, last in self._portions(heads):
                yield some, None if last else self._question.place(some[-1])

    def _walk(self, after: Place | None) -> AsyncIterator[Portion]:
        """Returns the heads that come first, until there are enough, where too many fit to be gathered."""
        if self._question.sought.by_distance:
            self._walked = circles = Circles(self._question, self._gathering)
            return circles.heads(after)
        kind = Instants if self._question.later else HeadsAsTheyCome
        self._walked = in_time = kind(self._question, self._gathering)
        return in_time.heads()

    @property
    def _cut(self) -> bool:
        return self._walked is not None and self._walked.cut

    @staticmethod
    def _portions(heads: Sequence[Head]) -> Iterator[tuple[Sequence[Head], bool]]:
        """Yields few at first, since a page needs few; each time with whether these are the last, which may be none."""
        size, begin = bounds.PROBED_FIRST, 0
        while begin == 0 or begin < len(heads):
            some, begin = heads[begin : begin + size], begin + size
            yield some, begin >= len(heads)
            size = min(size * 3, bounds.PROBED_MAX)
