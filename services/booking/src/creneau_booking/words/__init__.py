"""The words of each refusal: status, code, FHIRPath, French, English. The rules do not know them."""

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
    """Returns the error for a refusal."""
    return CATALOGUE[type(refusal)](refusal)
