"""Other alerts: only those that are bad, since on a good day there is nothing to read."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from creneau_web.ops import figures
from creneau_web.ops.judging.lines import JUDGED_S, MINUTES, RULES, Line
from creneau_web.ops.judging.looking import numbers_of, series
from creneau_web.ops.memory import Memory, Seen

LAG_EVENTS = 1000
POLL_AGE_S = 60.0
MEMORY_BYTES = 200 * 1024 * 1024
ASYNC_S = 600.0
TURNED_AWAY = 20


def other_lines(memory: Memory, now: float) -> list[Line]:
    """Only those that are bad: on a good day there is nothing to read."""
    seen = memory.processes
    everybody = list(seen.values())
    quarter = now - MINUTES * 60

    def grown(name: str, more_than: float, since: float = quarter) -> list[str]:
        return [n for n, one in seen.items() if figures.increase([one], name, since=since) > more_than]

    def above(name: str, most: float) -> list[str]:
        return [n for n, one in seen.items() if max(numbers_of(one, name), default=0.0) > most]

    deaf = [n for n, one in seen.items() if _is_woken(n) and 0.0 in numbers_of(one, "creneau_wakeups_heard")]
    found: list[tuple[str, Collection[str]]] = [
        ("deaf", deaf),
        ("log-lost", _grown(everybody, "creneau_events_requeued_total", "topic", 0, quarter)),
        ("behind", _above(memory, "creneau_consumer_lag_events", LAG_EVENTS, "consumer")),
        ("stuck", _above(memory, "creneau_consumer_poll_age_seconds", POLL_AGE_S, "consumer")),
        ("crashes", _grown(everybody, "creneau_task_crashes_total", "task", 3, quarter)),
        ("memory", above("process_resident_memory_bytes", MEMORY_BYTES)),
        (
            "async",
            {*above("creneau_async_oldest_seconds", ASYNC_S), *grown("creneau_async_given_up_total", 0)},
        ),
        ("retention", _grown(everybody, "creneau_retention_failed_total", "data_class", 2, quarter)),
        (
            "starved",
            {
                *grown("creneau_database_pool_starved_total", 20, now - JUDGED_S),
                *grown("creneau_limits_unavailable_total", 3),
            },
        ),
        ("turned-away", grown("creneau_pages_turned_away_total", TURNED_AWAY, now - JUDGED_S)),
    ]
    return [
        Line("others", RULES[code], ", ".join(sorted(names)), "bad", values={"named": sorted(names)})
        for code, names in found
        if names
    ]


def _is_woken(process: str) -> bool:
    """Whether it does what others have committed."""
    return process.partition("#")[0].endswith(("worker", "sender"))


def _grown(seen: Iterable[Seen], name: str, label: str, more_than: float, since: float) -> list[str]:
    return [
        value for value, grown in figures.increase_by(seen, name, label, since).items() if grown > more_than
    ]


def _above(memory: Memory, name: str, most: float, label: str) -> list[str]:
    return sorted({key[label] for key, value in series(memory, name) if value > most})
