"""How each refusal of the rules is told: status, code, FHIRPath, French, English. The rules know none of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from creneau_booking.words import (
    agendas,
    answers,
    changes,
    feeds,
    offering,
    openings,
    participants,
    people,
    proxies,
    quotas,
    registered,
    rehearsal,
    series,
    slots,
    waiting,
)
from creneau_shared.errors import CreneauError
from creneau_shared.refusal import Refusal

CATALOGUE: Mapping[type[Refusal], Callable[..., CreneauError]] = {
    refusal: saying
    for theme in (
        slots,
        offering,
        openings,
        changes,
        participants,
        agendas,
        answers,
        feeds,
        quotas,
        waiting,
        people,
        registered,
        proxies,
        rehearsal,
        series,
    )
    for refusal, saying in theme.WORDS
}


def told(refusal: Refusal) -> CreneauError:
    """The error that tells of a refusal."""
    return CATALOGUE[type(refusal)](refusal)
