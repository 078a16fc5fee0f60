"""Whether each thing is well, from what was seen. Pure: no clock, no network, no words.

Each line has one rule; a rule has the heading of docs/guides/operator.md that says what to do, and the alerts that ring
for the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

from creneau_web.ops import figures
from creneau_web.ops.memory import Memory, Seen
from creneau_web.ops.reading import Key
from creneau_web.ops.settings import OpsSettings

State = Literal["well", "bad", "unknown"]
"""unknown: nothing has been seen that could tell"""
Section = Literal["rehearsal", "functions", "safety", "whom", "processes", "dependencies", "others"]
SECTIONS: tuple[Section, ...] = get_args(Section)
Function = Literal["search", "book", "messages", "agendas", "login"]
FUNCTIONS: tuple[Function, ...] = get_args(Function)

JUDGED_S = 300.0
"""What shares and percentiles are judged by: the last five minutes, as alerts do."""
MINUTES = 15
WORST = 5
"""routes, feeds and channels that are named"""
LAG_EVENTS = 1000
POLL_AGE_S = 60.0
MEMORY_BYTES = 200 * 1024 * 1024
ASYNC_S = 600.0
TURNED_AWAY = 20
SLACK = 3
"""rehearsals in a row that must be missing before there is no news"""
CHECKED = {
    "database": "PostgreSQL",
    "database pool": "PostgreSQL",
    "kafka": "Kafka",
    "identity provider": "issuer",
}
"""A process's readiness check → the dependency that it is about, as it is usually named."""
NAMED_MIN = 2
"""processes that must say that a dependency does not answer before they are believed"""
RELAYING = ("booking", "directory")
APART: tuple[Function, ...] = ("messages", "login")
"""functions that are others' doing as well: a mail server's, an identity provider's, a person's"""
LOGINS_MIN = 5
OUR_FAULT = ("untrusted", "level", "silent")
"""Outcomes of a log-in that are no person's doing (`creneau_web.auth.failure`)."""
GIVEN_UP = ("failed", "expired")


@dataclass(frozen=True, slots=True)
class Rule:
    """`code` names it in the catalogue; `alerts` are the alerts of deploy/observability that watch the same."""

    code: str
    runbook: str
    alerts: tuple[str, ...] = ()


def _rules(*rules: Rule) -> Mapping[str, Rule]:
    return {rule.code: rule for rule in rules}


RULES = _rules(
    Rule("rehearsal", "the-rehearsal-fails", ("CreneauRehearsalFails",)),
    Rule("function", "answers-are-5xx", ("CreneauServerErrors", "CreneauFunctionFails")),
    Rule("slow", "answers-are-slow", ("CreneauSlow",)),
    Rule("login", "people-cannot-log-in", ("CreneauLoginsFail",)),
    Rule("messages", "messages-do-not-leave", ("CreneauMailFailing", "CreneauMessagesLost")),
    Rule("doubles", "two-appointments-have-one-slot", ("CreneauDoubleBookings",)),
    Rule("letters", "there-are-dead-letters", ("CreneauDeadLetters",)),
    Rule("overdue", "messages-do-not-leave", ("CreneauMessagesOverdue",)),
    Rule("outbox", "events-are-not-published", ("CreneauOutboxLag",)),
    Rule("relay", "events-are-not-published", ("CreneauNoRelay",)),
    Rule("route", "answers-are-5xx"),
    Rule("feed", "a-softwares-agendas-are-refused", ("CreneauFeedRefused",)),
    Rule("openings", "slots-are-not-made-from-rules", ("CreneauOpeningsWait",)),
    Rule("stale", "agendas-are-not-up-to-date", ("CreneauAgendasStale",)),
    Rule("calendars", "calendars-elsewhere-are-not-read", ("CreneauCalendarsUnread",)),
    Rule("sas", "the-sas-platform-is-not-told", ("CreneauSasRefuses",)),
    Rule("channel", "messages-do-not-leave"),
    Rule("process", "a-process-does-not-answer", ("CreneauProcessDown",)),
    Rule("dependency", "a-dependency-does-not-answer"),
    Rule("deaf", "events-are-not-published", ("CreneauDeafWorker",)),
    Rule("log-lost", "the-broker-has-lost-records", ("CreneauLogLost",)),
    Rule("behind", "a-consumer-is-behind", ("CreneauConsumerLag",)),
    Rule("stuck", "a-consumer-is-behind", ("CreneauConsumerStuck",)),
    Rule("crashes", "a-task-keeps-crashing", ("CreneauTaskCrashes",)),
    Rule("memory", "a-process-grows", ("CreneauMemory",)),
    Rule("async", "asynchronous-requests-wait", ("CreneauAsyncWaits", "CreneauAsyncGivenUp")),
    Rule("retention", "what-is-past-keeping-is-not-removed", ("CreneauRetentionFails",)),
    Rule("starved", "requests-are-refused", ("CreneauStarved", "CreneauCountsAlone")),
    Rule(
        "turned-away",
        "people-are-asked-to-come-back",
        ("CreneauPagesTurnAway", "CreneauPagesRefuseEverybody"),
    ),
)

WANTED = frozenset(
    {
        "creneau_agendas_not_up_to_date",
        "creneau_async_given_up_total",
        "creneau_async_oldest_seconds",
        "creneau_consumer_lag_events",
        "creneau_consumer_poll_age_seconds",
        "creneau_database_pool_starved_total",
        "creneau_dead_letters_waiting",
        "creneau_double_bookings",
        "creneau_events_requeued_total",
        "creneau_external_calendars_failing",
        "creneau_feed_failing_timestamp_seconds",
        "creneau_feed_received_timestamp_seconds",
        "creneau_function_answers_total",
        "creneau_function_seconds_bucket",
        "creneau_http_requests_total",
        "creneau_limits_unavailable_total",
        "creneau_login_seconds_bucket",
        "creneau_logins_total",
        "creneau_notification_attempts_total",
        "creneau_notification_lateness_seconds_bucket",
        "creneau_notification_messages_total",
        "creneau_notification_overdue",
        "creneau_openings_failed_total",
        "creneau_outbox_lag_seconds",
        "creneau_pages_turned_away_total",
        "creneau_process_info",
        "creneau_rehearsal_failing_timestamp_seconds",
        "creneau_rehearsal_step_failed",
        "creneau_rehearsal_step_seconds",
        "creneau_rehearsal_success_timestamp_seconds",
        "creneau_relay_leads",
        "creneau_retention_failed_total",
        "creneau_sas_reports_total",
        "creneau_task_crashes_total",
        "creneau_wakeups_heard",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    }
)
"""Every series that is looked at."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is watched. `name` is what tells it from others of its rule; `since` is known where what was seen
    says it (seconds since 1970), else `report` finds it."""

    section: Section
    rule: Rule
    name: str
    state: State
    since: float | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    why: tuple[str, ...] = ()
    """codes of what is bad about it, for the catalogue"""

    @property
    def key(self) -> str:
        # A function is one line, whatever is bad about it.
        return f"{self.section}/{'' if self.section == 'functions' else self.rule.code}/{self.name}"


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


def judge(memory: Memory, settings: OpsSettings, now: float) -> list[Line]:
    """Every line, in the order of the page."""
    return [
        *_rehearsal(memory, settings, now),
        *(_function(memory, settings, now, name) for name in FUNCTIONS),
        *_safety(memory, settings),
        *_whom(memory, settings, now),
        *_places(memory, settings),
        *_others(memory, now),
    ]


# -- is it working -----------------------------------------------------------------------------------------------


def _rehearsal(memory: Memory, settings: OpsSettings, now: float) -> Iterable[Line]:
    succeeded = max(_values(memory, "creneau_rehearsal_success_timestamp_seconds"), default=0.0)
    failing = [value for value in _values(memory, "creneau_rehearsal_failing_timestamp_seconds") if value]
    steps = {
        key["step"]: value for key, value in _all(memory, "creneau_rehearsal_step_seconds") if key["step"]
    }
    broken = next(
        ((key["step"], key["reason"]) for key, v in _all(memory, "creneau_rehearsal_step_failed") if v), None
    )
    rule = RULES["rehearsal"]
    values: dict[str, object] = {
        "succeeded": succeeded or None,
        "seconds": sum(steps.values()),
        "broken": broken,
    }
    if failing:
        yield Line("rehearsal", rule, "", "bad", min(failing), values, ("fails",))
    elif not succeeded:
        yield Line("rehearsal", rule, "", "unknown", None, values, ("never",))
    elif now - succeeded > SLACK * settings.rehearsal_interval_s + settings.ops_interval_s:
        yield Line("rehearsal", rule, "", "bad", succeeded, values, ("silent",))
    else:
        yield Line("rehearsal", rule, "", "well", None, values)


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


def _function(memory: Memory, settings: OpsSettings, now: float, name: Function) -> Line:
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
    return Line("functions", rule, name, state, None, {"share": share, "p95": p95}, tuple(why))


def _lost(seen: Sequence[Seen]) -> bool:
    """Whether messages were given up in the time that is kept."""
    return (
        figures.increase(seen, "creneau_notification_messages_total", lambda key: key["status"] in GIVEN_UP)
        > 0
    )


def _counted(name: Function) -> tuple[str, figures.Chosen, figures.Chosen]:
    """By which counter a function is counted: the series that are its, and those that are failures."""
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


# -- what must be nought -----------------------------------------------------------------------------------------


def _safety(memory: Memory, settings: OpsSettings) -> Iterable[Line]:
    doubles = _values(memory, "creneau_double_bookings")
    yield _nought("doubles", doubles, sum)
    letters: dict[tuple[str, str], float] = {}
    for key, value in _all(memory, "creneau_dead_letters_waiting"):
        # Each worker counts all of them.
        place = (key["consumer"], key["topic"])
        letters[place] = max(value, letters.get(place, 0))
    consumers_seen = bool(letters) or bool(doubles)
    yield _nought("letters", list(letters.values()) or ([0.0] if consumers_seen else []), sum)
    yield _nought("overdue", _values(memory, "creneau_notification_overdue"), max)
    lags = _values(memory, "creneau_outbox_lag_seconds", _is_relaying)
    yield _nought("outbox", lags, max, settings.ops_outbox_lag_max_s)
    leads = {
        service: _values(memory, "creneau_relay_leads", partial(_is_worker_of, service))
        for service in RELAYING
    }
    known = [service for service, values in leads.items() if values]
    # Where the process itself does not answer, that is the line which says so.
    without = [service for service in known if sum(leads[service]) < 1]
    state: State = "bad" if without else "well" if known else "unknown"
    yield Line("safety", RULES["relay"], "", state, None, {"number": float(len(without)), "named": without})


def _nought(
    code: str, values: Sequence[float], together: Callable[[Sequence[float]], float], most: float = 0.0
) -> Line:
    number = together(values) if values else None
    state: State = "unknown" if number is None else "bad" if number > most else "well"
    return Line("safety", RULES[code], "", state, None, {"number": number})


def _is_worker_of(service: str, process: str) -> bool:
    return process.startswith(f"{service}-worker")


def _is_relaying(process: str) -> bool:
    return any(_is_worker_of(service, process) for service in RELAYING)


# -- for whom ----------------------------------------------------------------------------------------------------


def _whom(memory: Memory, settings: OpsSettings, now: float) -> Iterable[Line]:
    yield from _routes(memory, settings, now)
    yield from _feeds(memory, settings, now)
    yield from _shared(memory, now)
    yield from _channels(memory, settings, now)


SHARED = (
    ("stale", "creneau_agendas_not_up_to_date", "late"),
    ("calendars", "creneau_external_calendars_failing", "unread"),
)
"""Of what is shared with others: rule, how many are bad, what is bad about them."""
UNMADE_MAX = 2.0
"""agendas whose slots could not be made from their rules, by times: one that states something odd is no trouble of ours"""


def _shared(memory: Memory, now: float) -> list[Line]:
    """Agendas that are not offered, as their software has not synchronised them in time; calendars elsewhere that cannot be
    read; appointments that the SAS platform does not take; agendas whose slots cannot be made from their rules."""
    lines = []
    for rule, name, why in SHARED:
        counts: dict[str, float] = {}
        for key, value in _all(memory, name):
            counts[key["problem"]] = max(value, counts.get(key["problem"], 0.0))
        if count := sum(counts.values()):
            lines.append(Line("whom", RULES[rule], f"{count:.0f}", "bad", None, {}, (why,)))
    seen = list(memory.processes.values())
    untold = figures.increase(seen, "creneau_sas_reports_total", _is_untold, now - JUDGED_S)
    if untold:
        lines.append(Line("whom", RULES["sas"], f"{untold:.0f}", "bad", None, {}, ("untold",)))
    unmade = figures.increase(seen, "creneau_openings_failed_total", lambda _: True, now - JUDGED_S)
    if unmade > UNMADE_MAX:
        lines.append(Line("whom", RULES["openings"], f"{unmade:.0f}", "bad", None, {}, ("unmade",)))
    return lines


def _is_untold(key: Key) -> bool:
    return key["outcome"] in ("again", "refused")


def _routes(memory: Memory, settings: OpsSettings, now: float) -> list[Line]:
    counts: dict[str, list[float]] = {}
    for one in memory.processes.values():
        for key in one.keys("creneau_http_requests_total"):
            if key["resource"] == "other":
                continue  # what is asked of one's health, and is answered with 503 while it is not well
            grown = sum(step for at, step in one.steps(key) if at >= now - JUDGED_S)
            of_route = counts.setdefault(f"{key['method']} {key['resource']}", [0.0, 0.0])
            of_route[0] += grown
            of_route[1] += grown if key["status"].startswith("5") else 0.0
    broken = [
        (failed / count, route, count)
        for route, (count, failed) in counts.items()
        if count and failed and failed / count > settings.ops_errors_share_max
    ]
    return [
        Line("whom", RULES["route"], route, "bad", None, {"share": share, "count": round(count)}, ("fails",))
        for share, route, count in sorted(broken, reverse=True)[:WORST]
    ]


def _feeds(memory: Memory, settings: OpsSettings, now: float) -> list[Line]:
    received: dict[tuple[str, str], float] = {}
    failing: dict[tuple[str, str], float] = {}
    for into, name in ((received, "received"), (failing, "failing")):
        for key, value in _all(memory, f"creneau_feed_{name}_timestamp_seconds"):
            place = (key["feed"], key["organization"])
            into[place] = max(value, into.get(place, 0.0))
    lines = []
    for place in sorted(received.keys() | failing.keys()):
        last, since = received.get(place, 0.0), failing.get(place, 0.0)
        silent = bool(last) and now - last > settings.ops_feed_silent_h * 3600
        if since or silent:
            name = f"{place[0]} ({place[1]})" if place[1] else place[0]
            why = "refused" if since else "silent"
            lines.append(
                Line("whom", RULES["feed"], name, "bad", since or last, {"received": last or None}, (why,))
            )
    return sorted(lines, key=lambda line: line.since or 0)[:WORST]


def _channels(memory: Memory, settings: OpsSettings, now: float) -> list[Line]:
    seen, since = list(memory.processes.values()), now - JUDGED_S
    name = "creneau_notification_attempts_total"
    tried = figures.increase_by(seen, name, "channel", since)
    lines = []
    for channel, count in sorted(tried.items()):
        failed = figures.increase(seen, name, partial(_failed_by, channel), since)
        if count and failed / count > settings.ops_refused_share_max:
            values = {"share": failed / count, "count": round(count)}
            lines.append(Line("whom", RULES["channel"], channel, "bad", None, values, ("fails",)))
    return lines[:WORST]


def _failed_by(channel: str, key: Key) -> bool:
    return key["channel"] == channel and key["result"] != "accepted"


# -- processes and what they stand on ----------------------------------------------------------------------------


def _places(memory: Memory, settings: OpsSettings) -> list[Line]:
    not_ready = {name: _not_ready(seen, settings) for name, seen in memory.processes.items()}
    dependencies = []
    for name, seen in memory.dependencies.items():
        state, reason = _answering(seen, settings), "away"
        # One that takes connections and answers none is known by those who need it.
        named = [
            process for process, failing in not_ready.items() if any(CHECKED.get(c) == name for c in failing)
        ]
        if state == "well" and len(named) >= NAMED_MIN:
            state, reason = "bad", "hangs"
        dependencies.append(
            Line(
                "dependencies",
                RULES["dependency"],
                name,
                state,
                None,
                {},
                (reason,) if state == "bad" else (),
            )
        )
    processes = {name: _answering(seen, settings) for name, seen in memory.processes.items()}
    cause_known = "bad" in processes.values() or any(line.state == "bad" for line in dependencies)
    lines = []
    for name in memory.processes:
        state, failing = processes[name], not_ready[name]
        why: tuple[str, ...] = ()
        if state == "bad":
            why = ("away",)
        elif failing and not cause_known:
            state, why = "bad", ("not-ready",)
        lines.append(
            Line("processes", RULES["process"], name, state, None, {"failing": ", ".join(failing)}, why)
        )
    return [*lines, *dependencies]


def _answering(seen: Seen, settings: OpsSettings) -> State:
    if seen.last is None:
        return "unknown"
    if seen.last.answered:
        return "well"
    enough = seen.failures() >= min(settings.ops_failures_min, len(seen.looks))
    return "bad" if enough else "well"


def _not_ready(seen: Seen, settings: OpsSettings) -> tuple[str, ...]:
    """The readiness checks that have failed in each of the last looks."""
    last = list(seen.looks)[-settings.ops_failures_min :]
    if len(last) < settings.ops_failures_min or not all(look.answered for look in last):
        return ()
    failing = set(last[0].failing).intersection(*(look.failing for look in last[1:]))
    return tuple(sorted(failing))


# -- what else rings ---------------------------------------------------------------------------------------------


def _others(memory: Memory, now: float) -> list[Line]:
    """Only those that are bad: on a good day there is nothing to read."""
    seen = memory.processes
    everybody = list(seen.values())
    quarter = now - MINUTES * 60

    def grown(name: str, more_than: float, since: float = quarter) -> list[str]:
        return [n for n, one in seen.items() if figures.increase([one], name, since=since) > more_than]

    def above(name: str, most: float) -> list[str]:
        return [n for n, one in seen.items() if max(_of(one, name), default=0.0) > most]

    deaf = [n for n, one in seen.items() if _is_worker(n) and 0.0 in _of(one, "creneau_wakeups_heard")]
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
        Line("others", RULES[code], ", ".join(sorted(names)), "bad", None, {"named": sorted(names)})
        for code, names in found
        if names
    ]


def _is_worker(process: str) -> bool:
    return process.partition("#")[0].endswith("worker")


def _grown(seen: Iterable[Seen], name: str, label: str, more_than: float, since: float) -> list[str]:
    return [
        value for value, grown in figures.increase_by(seen, name, label, since).items() if grown > more_than
    ]


def _above(memory: Memory, name: str, most: float, label: str) -> list[str]:
    return sorted({key[label] for key, value in _all(memory, name) if value > most})


# -- looking -----------------------------------------------------------------------------------------------------


def _all(memory: Memory, name: str, of: Callable[[str], bool] = lambda _: True) -> list[tuple[Key, float]]:
    """The present values of a series in all processes that answer; `of`: a condition on their names."""
    return [
        (key, value)
        for process, seen in memory.processes.items()
        if of(process)
        for key, value in seen.now().items()
        if key.name == name
    ]


def _values(memory: Memory, name: str, of: Callable[[str], bool] = lambda _: True) -> list[float]:
    return [value for _, value in _all(memory, name, of)]


def _of(seen: Seen, name: str) -> list[float]:
    return [value for key, value in seen.now().items() if key.name == name]
