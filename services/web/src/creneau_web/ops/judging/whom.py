"""For whom it does not work: routes, feeds, what is shared with others, channels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from creneau_shared.functions import is_failure
from creneau_web.ops import figures
from creneau_web.ops.judging.lines import JUDGED_S, WORST, Line
from creneau_web.ops.judging.looking import numbers, series
from creneau_web.ops.memory import Memory
from creneau_web.ops.reading import Key
from creneau_web.ops.settings import OpsSettings

SHARED = (
    ("stale", "creneau_agendas_not_up_to_date", "late"),
    ("calendars", "creneau_external_calendars_failing", "unread"),
)
"""What is shared with others: rule, series that counts the bad ones, what is bad about them."""
UNMADE_MAX = 2.0
"""failures to make slots from an agenda's rules that are tolerated: one odd agenda is no trouble of the service"""


SCHOOL_DAYS_MIN = 180.0
"""days for which it is to be known when there is no school: practices open their agendas half a year before"""


def whom_lines(memory: Memory, settings: OpsSettings, now: float) -> Iterable[Line]:
    yield from _routes(memory, settings, now)
    yield from _feeds(memory, settings, now)
    yield from _shared(memory, now)
    yield from _channels(memory, settings, now)


def _shared(memory: Memory, now: float) -> list[Line]:
    """Agendas that are not offered, as their software has not synchronised them in time; calendars elsewhere that cannot be
    read; appointments that the SAS platform does not take; agendas whose slots cannot be made from their rules, or soon
    cannot, as it is not known when there is no school."""
    lines = []
    for rule, name, why in SHARED:
        counts: dict[str, float] = {}
        for key, value in series(memory, name):
            counts[key["problem"]] = max(value, counts.get(key["problem"], 0.0))
        if count := sum(counts.values()):
            lines.append(Line.bad("whom", rule, f"{count:.0f}", why))
    seen = list(memory.processes.values())
    untold = figures.increase(seen, "creneau_sas_reports_total", _is_untold, now - JUDGED_S)
    if untold:
        lines.append(Line.bad("whom", "sas", f"{untold:.0f}", "untold"))
    unmade = figures.increase(seen, "creneau_openings_failed_total", lambda _: True, now - JUDGED_S)
    if unmade > UNMADE_MAX:
        lines.append(Line.bad("whom", "openings", f"{unmade:.0f}", "unmade"))
    # Processes that make no slots leave it at 0.
    school_days = [days for days in numbers(memory, "creneau_school_calendar_days") if days]
    if school_days and min(school_days) < SCHOOL_DAYS_MIN:
        lines.append(Line.bad("whom", "school", f"{min(school_days):.0f}", "school-ends"))
    return lines


def _is_untold(key: Key) -> bool:
    return key["outcome"] in ("again", "refused")


def _routes(memory: Memory, settings: OpsSettings, now: float) -> list[Line]:
    counts: dict[str, list[float]] = {}
    for one in memory.processes.values():
        for key in one.keys("creneau_http_requests_total"):
            if key["resource"] == "other":
                continue  # health checks, which answer 503 while a process is not well
            grown = sum(step for at, step in one.steps(key) if at >= now - JUDGED_S)
            of_route = counts.setdefault(f"{key['method']} {key['resource']}", [0.0, 0.0])
            of_route[0] += grown
            of_route[1] += grown if is_failure(int(key["status"])) else 0.0
    broken = [
        (failed / count, route, count)
        for route, (count, failed) in counts.items()
        if count and failed and failed / count > settings.ops_errors_share_max
    ]
    return [
        Line.bad("whom", "route", route, "fails", share=share, count=round(count))
        for share, route, count in sorted(broken, reverse=True)[:WORST]
    ]


def _feeds(memory: Memory, settings: OpsSettings, now: float) -> list[Line]:
    received: dict[tuple[str, str], float] = {}
    failing: dict[tuple[str, str], float] = {}
    for into, name in ((received, "received"), (failing, "failing")):
        for key, value in series(memory, f"creneau_feed_{name}_timestamp_seconds"):
            place = (key["feed"], key["organization"])
            into[place] = max(value, into.get(place, 0.0))
    lines = []
    for place in sorted(received.keys() | failing.keys()):
        last, since = received.get(place, 0.0), failing.get(place, 0.0)
        silent = bool(last) and now - last > settings.ops_feed_silent_h * 3600
        if since or silent:
            name = f"{place[0]} ({place[1]})" if place[1] else place[0]
            why = "refused" if since else "silent"
            lines.append(Line.bad("whom", "feed", name, why, since=since or last, received=last or None))
    return sorted(lines, key=lambda line: line.since or 0)[:WORST]


def _channels(memory: Memory, settings: OpsSettings, now: float) -> list[Line]:
    seen, since = list(memory.processes.values()), now - JUDGED_S
    name = "creneau_notification_attempts_total"
    tried = figures.increase_by(seen, name, "channel", since)
    lines = []
    for channel, count in sorted(tried.items()):
        failed = figures.increase(seen, name, partial(_failed_by, channel), since)
        if count and failed / count > settings.ops_refused_share_max:
            share = failed / count
            lines.append(Line.bad("whom", "channel", channel, "fails", share=share, count=round(count)))
    return lines[:WORST]


def _failed_by(channel: str, key: Key) -> bool:
    return key["channel"] == channel and key["result"] != "accepted"
