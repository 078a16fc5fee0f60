"""Whether what people ask for is done, and in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from creneau_web.ops import figures
from creneau_web.ops.judging.lines import JUDGED_S, MINUTES, RULES, Function, Line, State
from creneau_web.ops.memory import Memory, Seen
from creneau_web.ops.settings import OpsSettings

APART: tuple[Function, ...] = ("messages", "login")
"""functions that depend on others as well: a mail server, an identity provider, a person"""
LOGINS_MIN = 5
OUR_FAULT = ("untrusted", "level", "silent")
"""Outcomes of a log-in that are no person's doing (`creneau_web.auth.failure`)."""
GIVEN_UP = ("failed", "expired")


@dataclass(frozen=True, slots=True)
class FunctionFigures:
    """What people ask for, over the time that is kept."""

    name: Function
    per_minute: float
    count: int
    failed_share: float | None
    p95_s: float | None
    minutes: Sequence[float]
    """answers in each of the last minutes, the oldest first"""


def function_figures(memory: Memory, settings: OpsSettings, now: float, name: Function) -> FunctionFigures:
    """The figures of one function over the time that is kept."""
    seen = list(memory.processes.values())
    counter, chosen, failed = _counted(name)
    histogram, of = _timed(name)
    count = figures.increase(seen, counter, chosen)
    minutes = figures.span_s(seen, now, settings.ops_kept_min * 60) / 60
    bad = figures.increase(seen, counter, failed)
    return FunctionFigures(
        name,
        count / minutes if minutes else 0.0,
        round(count),
        bad / count if count else None,
        figures.quantile(0.95, seen, histogram, of),
        figures.by_minute(seen, counter, now, MINUTES, chosen),
    )


def function_line(memory: Memory, settings: OpsSettings, now: float, name: Function) -> Line:
    seen, since = list(memory.processes.values()), now - JUDGED_S
    counter, chosen, failed = _counted(name)
    histogram, of = _timed(name)
    count = figures.increase(seen, counter, chosen, since)
    share = figures.increase(seen, counter, failed, since) / count if count else 0.0
    p95 = figures.quantile(0.95, seen, histogram, of, since)
    apart = name in APART
    share_max = settings.ops_refused_share_max if apart else settings.ops_errors_share_max
    slow_s = settings.ops_messages_late_s if name == "messages" else settings.ops_slow_s
    enough = count >= (LOGINS_MIN if name == "login" else settings.ops_requests_min)
    why = ["fails"] if enough and share > share_max else []
    why += ["slow"] if enough and (p95 or 0.0) > slow_s else []
    why += ["lost"] if name == "messages" and _lost(seen) else []
    rule = RULES[name if apart else "slow" if why == ["slow"] else "function"]
    state: State = "bad" if why else "well" if memory.processes else "unknown"
    return Line("functions", rule, name, state, values={"share": share, "p95": p95}, why=tuple(why))


def _lost(seen: Sequence[Seen]) -> bool:
    """Whether messages were given up in the time that is kept."""
    return (
        figures.increase(seen, "creneau_notification_messages_total", lambda key: key["status"] in GIVEN_UP)
        > 0
    )


def _counted(name: Function) -> tuple[str, figures.Chosen, figures.Chosen]:
    """The counter of a function, which of its series count, and which of these are failures."""
    if name == "messages":
        return "creneau_notification_attempts_total", lambda _: True, lambda key: key["result"] != "accepted"
    if name == "login":
        return "creneau_logins_total", lambda _: True, lambda key: key["outcome"] in OUR_FAULT
    return (
        "creneau_function_answers_total",
        lambda key: key["function"] == name,
        lambda key: key["function"] == name and key["outcome"] == "failed",
    )


def _timed(name: Function) -> tuple[str, figures.Chosen]:
    if name == "messages":
        return "creneau_notification_lateness_seconds_bucket", lambda _: True
    if name == "login":
        return "creneau_login_seconds_bucket", lambda _: True
    return "creneau_function_seconds_bucket", lambda key: key["function"] == name
