"""What must be zero: doubles, dead letters, messages and events that wait, services without a relay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from creneau_web.ops.judging.lines import RULES, Line
from creneau_web.ops.judging.looking import numbers, series
from creneau_web.ops.judging.places import CHECKED
from creneau_web.ops.memory import Look, Memory
from creneau_web.ops.settings import OpsSettings

RELAYING = ("booking", "directory")
CONSUMING = ("booking", "notifications")


def safety_lines(memory: Memory, settings: OpsSettings) -> Iterable[Line]:
    # Each worker counts all of them, the letters too.
    doubles = numbers(memory, "creneau_double_bookings")
    yield _nought("doubles", doubles, max, silent=_silent(memory, ("booking",)))
    letters: dict[tuple[str, str], float] = {}
    for key, value in series(memory, "creneau_dead_letters_waiting"):
        place = (key["consumer"], key["topic"])
        letters[place] = max(value, letters.get(place, 0))
    consumers_seen = bool(letters) or bool(doubles)
    yield _nought(
        "letters",
        list(letters.values()) or ([0.0] if consumers_seen else []),
        sum,
        silent=_silent(memory, CONSUMING),
    )
    overdue = numbers(memory, "creneau_notification_overdue")
    yield _nought("overdue", overdue, max, silent=_silent(memory, ("notifications",)))
    lags = numbers(memory, "creneau_outbox_lag_seconds", _is_relaying)
    silent = _silent(memory, RELAYING)
    yield _nought("outbox", lags, max, settings.ops_outbox_lag_max_s, silent=silent)
    leads = {
        service: numbers(memory, "creneau_relay_leads", partial(_is_worker_of, service))
        for service in RELAYING
    }
    # A process that does not answer has a line of its own.
    without = [service for service, values in leads.items() if values and sum(values) < 1]
    told = [float(len(without))] if any(leads.values()) else []
    yield _nought("relay", told, max, silent=silent, named=without)


def _nought(
    code: str,
    values: Sequence[float],
    together: Callable[[Sequence[float]], float],
    most: float = 0.0,
    *,
    silent: Sequence[str] = (),
    named: Sequence[str] = (),
) -> Line:
    """`silent`: who does not tell at the moment, so that no number of the others says that all is well."""
    number = together(values) if values else None
    if number is not None and number > most:
        return Line("safety", RULES[code], "", "bad", values={"number": number, "named": named})
    if number is None or silent:
        why = ("silent",) if silent else ()
        return Line("safety", RULES[code], "", "unknown", values={"named": silent}, why=why)
    return Line("safety", RULES[code], "", "well", values={"number": number})


def _silent(memory: Memory, services: Sequence[str]) -> list[str]:
    """The workers of these services, where none of one service has told in the last look how it is now: one that does not
    reach its database repeats what it counted before."""
    found = []
    for service in services:
        workers = [seen for name, seen in memory.processes.items() if _is_worker_of(service, name)]
        if workers and not any(seen.last and _counts(seen.last) for seen in workers):
            found.append(f"{service}-worker")
    return found


def _counts(look: Look) -> bool:
    return look.answered and not any(CHECKED.get(check) == "PostgreSQL" for check in look.failing)


def _is_worker_of(service: str, process: str) -> bool:
    return process.startswith(f"{service}-worker")


def _is_relaying(process: str) -> bool:
    return any(_is_worker_of(service, process) for service in RELAYING)
