"""Remarks in a searchset that say why somebody's agendas show no slot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.storage.agendas.states import AgendaState, agendas_of, state_of
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Issue

_WORDS: dict[AgendaState, tuple[str, str]] = {
    "no-free-slot": ("Aucun créneau libre", "No free slot"),
    "agenda-not-connected": (
        "L'agenda n'est pas relié à ce service : appelez pour prendre rendez-vous",
        "The agenda is not connected to this service: call to book",
    ),
    "agenda-not-up-to-date": (
        "L'agenda n'est plus à jour : ses créneaux ne sont pas proposés tant que son logiciel ne les a pas confirmés",
        "The agenda is not up to date: its slots are not offered until its software has confirmed them",
    ),
}


async def remarks_on(
    connection: Connection, references: Sequence[str], shown: frozenset[int], now: datetime
) -> list[Issue]:
    """Returns a remark for each reference that has no agenda among `shown` (keys): it says why."""
    issues = []
    for reference in dict.fromkeys(references):
        agendas = await agendas_of(connection, [reference])
        if not agendas & shown:
            issues.append(remark(await state_of(connection, sorted(agendas), now), reference))
    return issues


def remark(state: AgendaState, reference: str = "") -> Issue:
    """The informational issue that explains `state`; `reference`: whose agendas."""
    fr, en = _WORDS[state]
    about = f" ({reference})" if reference else ""
    return Issue(
        "informational",
        f"{fr}{about}.",
        f"{en}{about}.",
        severity="information",
        details_code=state,
        diagnostics=reference or None,
    )
