"""What must be zero: doubles, dead letters, messages and events that wait, services without a relay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from creneau_web.ops.judging.lines import RULES, Line, State
from creneau_web.ops.judging.looking import numbers, series
from creneau_web.ops.memory import Memory
from creneau_web.ops.settings import OpsSettings

RELAYING = ("booking", "directory")


def safety_lines(memory: Memory, settings: OpsSettings) -> Iterable[Line]:
    # Each worker counts all of them, the letters too.
    doubles = numbers(memory, "creneau_double_bookings")
    yield _nought("doubles", doubles, max)
    letters: dict[tuple[str, str], float] = {}
    for key, value in series(memory, "creneau_dead_letters_waiting"):
        place = (key["consumer"], key["topic"])
        letters[place] = max(value, letters.get(place, 0))
    consumers_seen = bool(letters) or bool(doubles)
    yield _nought("letters", list(letters.values()) or ([0.0] if consumers_seen else []), sum)
    yield _nought("overdue", numbers(memory, "creneau_notification_overdue"), max)
    lags = numbers(memory, "creneau_outbox_lag_seconds", _is_relaying)
    yield _nought("outbox", lags, max, settings.ops_outbox_lag_max_s)
    leads = {
        service: numbers(memory, "creneau_relay_leads", partial(_is_worker_of, service))
        for service in RELAYING
    }
    known = [service for service, values in leads.items() if values]
    # A process that does not answer has a line of its own.
    without = [service for service in known if sum(leads[service]) < 1]
    state: State = "bad" if without else "well" if known else "unknown"
    yield Line("safety", RULES["relay"], "", state, values={"number": float(len(without)), "named": without})


def _nought(
    code: str, values: Sequence[float], together: Callable[[Sequence[float]], float], most: float = 0.0
) -> Line:
    number = together(values) if values else None
    state: State = "unknown" if number is None else "bad" if number > most else "well"
    return Line("safety", RULES[code], "", state, values={"number": number})


def _is_worker_of(service: str, process: str) -> bool:
    return process.startswith(f"{service}-worker")


def _is_relaying(process: str) -> bool:
    return any(_is_worker_of(service, process) for service in RELAYING)
