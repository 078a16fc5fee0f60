"""A line of the operators' page, and the rules that lines have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, get_args

State = Literal["well", "bad", "unknown"]
"""unknown: nothing has been seen that could tell"""
Section = Literal["rehearsal", "functions", "safety", "whom", "processes", "dependencies", "others"]
Function = Literal["search", "book", "messages", "agendas", "login"]
FUNCTIONS: tuple[Function, ...] = get_args(Function)


@dataclass(frozen=True, slots=True)
class Rule:
    """`code` names it in the catalogue; `alerts` are the alerts of deploy/observability that watch the same; `each`: it has
    a line for each name, and one line otherwise."""

    code: str
    runbook: str
    alerts: tuple[str, ...] = ()
    each: bool = False


def _rules(*rules: Rule) -> Mapping[str, Rule]:
    return {rule.code: rule for rule in rules}


RULES = _rules(
    Rule("rehearsal", "the-rehearsal-fails", ("CreneauRehearsalFails",)),
    Rule("function", "answers-are-5xx", ("CreneauServerErrors", "CreneauFunctionFails"), each=True),
    Rule("slow", "answers-are-slow", ("CreneauSlow",), each=True),
    Rule("login", "people-cannot-log-in", ("CreneauLoginsFail",), each=True),
    Rule("messages", "messages-do-not-leave", ("CreneauMailFailing", "CreneauMessagesLost"), each=True),
    Rule("doubles", "two-appointments-have-one-slot", ("CreneauDoubleBookings",)),
    Rule("letters", "there-are-dead-letters", ("CreneauDeadLetters",)),
    Rule("overdue", "messages-do-not-leave", ("CreneauMessagesOverdue",)),
    Rule("outbox", "events-are-not-published", ("CreneauOutboxLag",)),
    Rule("relay", "events-are-not-published", ("CreneauNoRelay",)),
    Rule("route", "answers-are-5xx", each=True),
    Rule("feed", "a-softwares-agendas-are-refused", ("CreneauFeedRefused",), each=True),
    Rule("openings", "slots-are-not-made-from-rules", ("CreneauOpeningsWait",)),
    Rule("school", "the-school-calendar-ends", ("CreneauSchoolCalendarEnds",)),
    Rule("stale", "agendas-are-not-up-to-date", ("CreneauAgendasStale",)),
    Rule("calendars", "calendars-elsewhere-are-not-read", ("CreneauCalendarsUnread",)),
    Rule("sas", "the-sas-platform-is-not-told", ("CreneauSasRefuses",)),
    Rule("channel", "messages-do-not-leave", each=True),
    Rule("process", "a-process-does-not-answer", ("CreneauProcessDown",), each=True),
    Rule("dependency", "a-dependency-does-not-answer", each=True),
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


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is watched. `name` tells it from others of its rule. `since`: seconds since 1970, if the observations
    say it; else `report` finds it."""

    section: Section
    rule: Rule
    name: str
    state: State
    _: KW_ONLY
    since: float | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    why: tuple[str, ...] = ()
    """codes of what is bad about it, for the catalogue"""

    @classmethod
    def bad(
        cls, section: Section, rule: str, name: str, why: str, *, since: float | None = None, **values: object
    ) -> Line:
        """Something that is bad; `rule` is the code of its rule."""
        return cls(section, RULES[rule], name, "bad", since=since, values=values, why=(why,))

    @property
    def key(self) -> str:
        """What the same thing has at the next look, whoever else it concerns by then, and how many."""
        # A function is one line, whatever is bad about it.
        rule = "" if self.section == "functions" else self.rule.code
        return f"{self.section}/{rule}/{self.name if self.rule.each else ''}"


JUDGED_S = 300.0
"""What shares and percentiles are judged by: the last five minutes, as alerts do."""
MINUTES = 15
WORST = 5
"""routes, feeds and channels that are named"""
