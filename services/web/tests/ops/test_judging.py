"""From what was seen to whether it is well: pure, so that every case can be said."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import yaml
from deploy.local.folder import REPOSITORY
from tests.docs.markdown import anchors

from creneau_web.ops.figures import quantile_of
from creneau_web.ops.judging import judge
from creneau_web.ops.judging.functions import function_figures
from creneau_web.ops.judging.lines import RULES, Line
from creneau_web.ops.judging.wanted import WANTED
from creneau_web.ops.memory import Look, Memory, Seen
from creneau_web.ops.reading import Key, read
from creneau_web.ops.report import Report, Tracker, report
from creneau_web.ops.settings import OpsSettings, places

NOW = 1_800_000_000.0
SETTINGS = OpsSettings(ops_processes="", ops_dependencies="")


def key(name: str, **labels: str) -> Key:
    return Key(name, tuple(labels.items()))


class World:
    """Processes that are looked at every ten seconds up to NOW."""

    def __init__(self) -> None:
        self.memory = Memory(looked_at=NOW)

    def process(
        self, name: str, *samples: Mapping[Key, float] | None, failing: tuple[str, ...] = ()
    ) -> World:
        """None: no answer to that look. The last sample is of now."""
        seen = self.memory.processes.setdefault(name, Seen())
        for number, sample in enumerate(samples):
            at = NOW - 10 * (len(samples) - 1 - number)
            seen.add(Look(at, sample is not None, failing), sample, NOW - 900)
        return self

    def dependency(self, name: str, *there: bool) -> World:
        seen = self.memory.dependencies.setdefault(name, Seen())
        for number, answered in enumerate(there):
            seen.add(Look(NOW - 10 * (len(there) - 1 - number), answered), None, NOW - 900)
        return self

    def lines(self) -> list[Line]:
        return judge(self.memory, SETTINGS, NOW)

    def bad(self) -> set[tuple[str, str]]:
        return {(line.rule.code, line.name) for line in self.lines() if line.state == "bad"}

    def line(self, code: str) -> Line:
        return next(line for line in self.lines() if line.rule.code == code)


def rehearsing(succeeded: float = NOW - 30, failing: float = 0.0) -> dict[Key, float]:
    return {
        key("creneau_rehearsal_success_timestamp_seconds"): succeeded,
        key("creneau_rehearsal_failing_timestamp_seconds"): failing,
    }


def well() -> World:
    """Every process answers, everything is as it should be."""
    relay = {
        key("creneau_relay_leads"): 1.0,
        key("creneau_outbox_lag_seconds"): 0.2,
        key("creneau_wakeups_heard"): 1.0,
    }
    booking = {**relay, key("creneau_double_bookings"): 0.0}
    return (
        World()
        .process("booking-api-1", {}, {})
        .process("booking-worker", booking, booking)
        .process("directory-worker", relay, relay)
        .process(
            "notifications-worker",
            {key("creneau_notification_overdue"): 0.0},
            {key("creneau_notification_overdue"): 0.0},
        )
        .process("web-rehearsal", rehearsing(), rehearsing())
        .dependency("PostgreSQL", True, True)
        .dependency("Kafka", True, True)
    )


def test_nothing_is_bad_where_all_is_well() -> None:
    assert well().bad() == set()
    assert {line.state for line in well().lines()} == {"well"}


def test_what_has_not_been_looked_at_is_not_called_well() -> None:
    """A page that has seen nothing yet does not say that all is well."""
    assert {line.state for line in World().lines()} == {"unknown"}
    assert report(Memory(), SETTINGS, Tracker(NOW), NOW).state == "unknown"


# -- which line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["booking-api-1", "booking-worker", "directory-worker", "notifications-worker"]
)
def test_a_process_that_is_away_is_its_own_line_and_no_other(name: str) -> None:
    """Not at the first look, which may have been unlucky; at the second."""
    assert well().process(name, None).bad() == set()
    assert well().process(name, None, None).bad() == {("process", name)}


@pytest.mark.parametrize(("name", "check"), [("PostgreSQL", "database"), ("Kafka", "kafka")])
def test_a_dependency_that_is_away_is_its_own_line(name: str, check: str) -> None:
    """And the processes that are not ready for it are not called broken; nor are they called well."""
    world = well().dependency(name, False, False)
    world.process("booking-api-1", {}, {}, failing=(check,))
    assert world.bad() == {("dependency", name)}
    line = next(line for line in world.lines() if line.name == "booking-api-1")
    assert (line.state, line.why, line.values["failing"]) == ("unknown", ("not-ready",), check)


def test_what_is_away_does_not_excuse_a_process_that_is_not_ready_for_something_else() -> None:
    world = well().dependency("Kafka", False, False).process("booking-api-2", None, None)
    world.process("booking-api-1", {}, {}, failing=("database",))
    assert world.bad() == {
        ("dependency", "Kafka"),
        ("process", "booking-api-2"),
        ("process", "booking-api-1"),
    }


@pytest.mark.parametrize(
    ("worker", "codes"),
    [
        ("booking-worker", {"doubles", "letters", "outbox", "relay"}),
        ("directory-worker", {"outbox", "relay"}),
        ("notifications-worker", {"overdue", "letters"}),
    ],
)
@pytest.mark.parametrize("answers", [False, True])
def test_a_number_is_not_good_while_whoever_counts_it_does_not(
    worker: str, codes: set[str], answers: bool
) -> None:
    """A worker that is dead, and one that repeats what it counted before its database went away."""
    world = well()
    before = world.memory.processes[worker].now() if answers else None
    world.process(worker, before, failing=("database",))
    silent = {line.rule.code: line for line in world.lines() if line.section == "safety"}
    assert {code for code, line in silent.items() if line.state == "unknown"} == codes
    assert all(worker in silent[code].values["named"] for code in codes)  # type: ignore[operator]


def test_a_dependency_that_hangs_is_known_by_those_who_need_it() -> None:
    """It takes connections and answers none: one process may err, two are believed, and are not called broken themselves."""
    world = well().process(
        "booking-worker", well().memory.processes["booking-worker"].now(), failing=("database",)
    )
    for name in ("booking-api-1", "booking-worker"):
        numbers = world.memory.processes[name].now()
        world.process(name, numbers, numbers, failing=("database", "database pool"))
    assert world.bad() == {("dependency", "PostgreSQL")}
    hangs = next(line for line in world.lines() if line.name == "PostgreSQL")
    assert hangs.values["named"] == ["booking-api-1", "booking-worker"]


def test_a_process_that_is_not_ready_for_no_known_cause_is_named() -> None:
    world = well().process("booking-api-1", {}, {}, failing=("database",))
    assert world.bad() == {("process", "booking-api-1")}
    assert next(line for line in world.lines() if line.name == "booking-api-1").why == ("not-ready",)


def test_a_rehearsal_that_fails_says_where_and_since_when() -> None:
    numbers = {
        **rehearsing(NOW - 300, NOW - 120),
        key("creneau_rehearsal_step_failed", step="hold", reason="503"): 1.0,
    }
    line = well().process("web-rehearsal", numbers).line("rehearsal")
    assert (line.state, line.since, line.values["broken"]) == ("bad", NOW - 120, ("hold", "503"))


def test_a_rehearsal_of_which_there_is_no_news_is_bad() -> None:
    """Whoever rehearses may have died: its last good word does not count for ever."""
    line = well().process("web-rehearsal", rehearsing(NOW - 200)).line("rehearsal")
    assert (line.state, line.why, line.since) == ("bad", ("silent",), NOW - 200)


@pytest.mark.parametrize(
    ("code", "process", "numbers"),
    [
        ("doubles", "booking-worker", {key("creneau_double_bookings"): 2.0}),
        ("letters", "booking-worker", {key("creneau_dead_letters_waiting", consumer="c", topic="t"): 1.0}),
        ("overdue", "notifications-worker", {key("creneau_notification_overdue"): 1.0}),
        ("outbox", "directory-worker", {key("creneau_outbox_lag_seconds"): 31.0}),
        ("relay", "booking-worker", {key("creneau_relay_leads"): 0.0}),
    ],
)
def test_what_must_be_nought(code: str, process: str, numbers: dict[Key, float]) -> None:
    world = well()
    before = world.memory.processes[process].now()
    assert world.process(process, {**before, **numbers}).bad() == {(code, "")}


def test_letters_that_two_workers_count_are_the_same_letters() -> None:
    numbers = {key("creneau_dead_letters_waiting", consumer="c", topic="t"): 3.0}
    world = World().process("booking-worker#a", numbers).process("booking-worker#b", numbers)
    assert world.line("letters").values["number"] == 3


def test_a_double_that_two_workers_count_is_one() -> None:
    numbers = {key("creneau_double_bookings"): 1.0}
    world = World().process("booking-worker#a", numbers).process("booking-worker#b", numbers)
    assert world.line("doubles").values["number"] == 1


@pytest.mark.parametrize("name", ["directory-worker", "notifications-sender", "notifications-sender#b"])
def test_whoever_is_rung_for_and_hears_nothing_is_named(name: str) -> None:
    """Where senders run apart, they alone send: a deaf one is late with every message."""
    world = well().process(name, {key("creneau_wakeups_heard"): 0.0})
    assert ("deaf", name) in world.bad()


def test_an_api_process_that_hears_nothing_is_late_with_nothing() -> None:
    assert well().process("booking-api-1", {key("creneau_wakeups_heard"): 0.0}).bad() == set()


def test_one_relay_of_two_workers_is_enough() -> None:
    world = World()
    world.process("booking-worker#a", {key("creneau_relay_leads"): 0.0})
    world.process("booking-worker#b", {key("creneau_relay_leads"): 1.0})
    assert world.bad() == set()


def test_a_broken_feed_a_silent_feed_a_route_and_a_channel_are_named_with_their_since() -> None:
    numbers = {
        key("creneau_feed_received_timestamp_seconds", feed="a", organization=""): NOW - 600,
        key("creneau_feed_failing_timestamp_seconds", feed="a", organization=""): NOW - 500,
        key("creneau_feed_received_timestamp_seconds", feed="b", organization="cab"): NOW - 25 * 3600,
        key("creneau_feed_failing_timestamp_seconds", feed="b", organization="cab"): 0.0,
        key("creneau_feed_received_timestamp_seconds", feed="c", organization=""): NOW - 60,
    }
    posted = {
        key("creneau_http_requests_total", method="POST", resource="Appointment", status=s): 0.0
        for s in ("201", "500")
    } | {key("creneau_http_requests_total", method="GET", resource="Slot", status="501"): 0.0}
    tried = {
        key("creneau_notification_attempts_total", channel="sms", result=r): 0.0
        for r in ("accepted", "refused")
    }
    world = well().process("booking-worker", {**well().memory.processes["booking-worker"].now(), **numbers})
    world.process("booking-api-1", posted, dict.fromkeys(posted, 5.0))
    world.process("notifications-worker", tried, dict.fromkeys(tried, 5.0))
    whom = {(line.rule.code, line.name): line.since for line in world.lines() if line.section == "whom"}
    assert whom == {
        ("feed", "a"): NOW - 500,
        ("feed", "b (cab)"): NOW - 25 * 3600,
        ("route", "POST Appointment"): None,
        ("channel", "sms"): None,
    }


# -- figures -------------------------------------------------------------------------------------------------


def test_figures_of_a_function_over_processes_of_which_one_began_anew() -> None:
    """A counter that begins from 0 loses nothing; what there was before the first look is not counted."""
    ok = key("creneau_function_answers_total", function="book", outcome="ok")
    failed = key("creneau_function_answers_total", function="book", outcome="failed")
    other = key("creneau_function_answers_total", function="search", outcome="ok")
    world = World()
    world.process(
        "booking-api-1",
        {ok: 1000.0, other: 7.0},
        {ok: 1060.0, failed: 20.0, other: 8.0},
        {ok: 10.0, failed: 0.0},
    )
    world.process("booking-api-2", {}, {ok: 15.0}, {ok: 30.0})
    figures = function_figures(world.memory, SETTINGS, NOW, "book")
    assert (figures.count, figures.failed_share) == (60 + 20 + 10 + 30, 20 / 120)
    assert figures.per_minute == pytest.approx(120 / (20 / 60))
    assert sum(figures.minutes) == 120


def test_a_process_that_begins_while_we_look_counts_from_nought() -> None:
    """What it did before its first answer was done before our eyes; one that had begun before, and hung, did it earlier."""
    ok, started = (
        key("creneau_function_answers_total", function="book", outcome="ok"),
        key("process_start_time_seconds"),
    )
    for began, count in ((NOW - 15, 7), (NOW - 3600, 0)):
        world = World().process("booking-api-1", None, None, {ok: 7.0, started: began})
        assert function_figures(world.memory, SETTINGS, NOW, "book").count == count


def test_a_function_that_fails_or_is_slow_is_bad_once_there_are_enough_answers() -> None:
    def world(ok: float, failed: float, slow: float) -> set[tuple[str, str]]:
        kinds = {"ok": ok, "failed": failed}
        of = {
            key("creneau_function_answers_total", function="search", outcome=k): v for k, v in kinds.items()
        }
        buckets = {"1.0": ok - slow, "5.0": ok, "+Inf": ok}
        of |= {
            key("creneau_function_seconds_bucket", function="search", le=le): v for le, v in buckets.items()
        }
        return {
            b for b in well().process("booking-api-1", dict.fromkeys(of, 0.0), of).bad() if b[1] == "search"
        }

    assert world(100, 0, 0) == set()
    assert world(5, 5, 0) == set()  # too few to say
    assert world(100, 2, 0) == {("function", "search")}
    assert world(100, 0, 10) == {("slow", "search")}


@pytest.mark.parametrize(("outcome", "bad"), [("silent", True), ("untrusted", True), ("declined", False)])
def test_log_ins_that_fail_are_bad_unless_it_is_people_s_doing(outcome: str, bad: bool) -> None:
    kinds = {key("creneau_logins_total", provider="issuer", outcome=one): 0.0 for one in ("done", outcome)}
    world = well().process("web", kinds, dict.fromkeys(kinds, 6.0))
    assert world.bad() == ({("login", "login")} if bad else set())
    assert function_figures(world.memory, SETTINGS, NOW, "login").failed_share == (0.5 if bad else 0)


def test_messages_that_were_given_up_make_messages_bad() -> None:
    """However few were tried: each was for somebody."""
    lost = {key("creneau_notification_messages_total", channel="email", status="expired"): 1.0}
    world = well().process("notifications-worker", {key("creneau_notification_overdue"): 0.0, **lost})
    assert world.bad() == {("messages", "messages")}


def test_a_percentile_is_read_as_prometheus_reads_it() -> None:
    assert quantile_of(0.5, {1.0: 50, 2.0: 100, float("inf"): 100}) == 1.0
    assert quantile_of(0.75, {1.0: 50, 2.0: 100, float("inf"): 100}) == 1.5
    assert quantile_of(0.95, {float("inf"): 0}) is None
    assert quantile_of(0.99, {1.0: 1, float("inf"): 100}) == 1.0


def test_exposition_is_read() -> None:
    text = '# HELP a b\na{x="1",y="q\\"u\\\\o\\n"} 2.0\nb 3\nc{x="1"} NaN\nnot wanted 1\na{broken\nb_total 9 1700000000\n'
    found = read(text, {"a", "b", "b_total"})
    assert found == {Key("a", (("x", "1"), ("y", 'q"u\\o\n'))): 2.0, Key("b"): 3.0, Key("b_total"): 9.0}


def test_what_is_older_than_a_quarter_of_an_hour_is_forgotten() -> None:
    seen = Seen()
    for n in range(200):
        seen.add(Look(NOW + 10 * n, True), {Key("a"): float(n)}, NOW + 10 * n - 900)
    assert len(seen.looks) == len(seen._samples) == 91
    assert sum(step for _, step in seen.steps(Key("a"))) == 90


# -- since when ----------------------------------------------------------------------------------------------


def test_since_when_is_remembered_and_when_it_ended() -> None:
    tracker = Tracker(NOW - 1000)
    down = well().dependency("Kafka", False, False).memory
    first = report(down, SETTINGS, tracker, NOW)
    assert (first.state, first.since, [line.name for line in first.bad]) == ("down", NOW, ["Kafka"])
    assert report(down, SETTINGS, tracker, NOW + 60).since == NOW
    assert report(well().memory, SETTINGS, tracker, NOW + 70).last_problem_ended == NOW + 70


def judged(world: World, tracker: Tracker, now: float) -> Report:
    """At a later moment, at which it has been looked at and rehearsed."""
    world.memory.looked_at = now
    world.process("web-rehearsal", rehearsing(now))
    return report(world.memory, SETTINGS, tracker, now)


def test_one_more_of_the_same_is_no_new_problem() -> None:
    """How many agendas are stale, and which processes are too large, changes; since when some are does not."""
    tracker, world = Tracker(NOW - 1000), well()

    def stale(number: float, *large: str) -> Mapping[str, float | None]:
        world.process("booking-worker", {key("creneau_agendas_not_up_to_date", problem="late"): number})
        for name in large:
            world.process(name, {key("process_resident_memory_bytes"): 1e9})
        return {line.rule.code: line.since for line in judged(world, tracker, NOW + 60 * number).bad}

    assert stale(1.0, "booking-api-1") == {"stale": NOW + 60, "memory": NOW + 60}
    assert stale(2.0, "directory-api") == {"stale": NOW + 60, "memory": NOW + 60}


def test_since_when_is_that_of_what_makes_the_state() -> None:
    """Créneau does not work since Kafka is away, and not since somebody is needed for an agenda."""
    tracker, world = Tracker(NOW - 1000), well()
    numbers = world.memory.processes["booking-worker"].now()
    world.process("booking-worker", {**numbers, key("creneau_double_bookings"): 1.0})
    first = judged(world, tracker, NOW)
    assert (first.state, first.since) == ("warning", NOW)
    world.dependency("Kafka", False, False)
    second = judged(world, tracker, NOW + 3600)
    assert (second.state, second.since) == ("down", NOW + 3600)
    blind = report(world.memory, SETTINGS, tracker, NOW + 3900)
    assert (blind.state, blind.since) == ("blind", NOW + 3600)


def test_what_goes_on_over_a_restart_has_its_since_and_what_does_not_is_over() -> None:
    """A share of the last five minutes is bad again minutes after a process began: it is the same trouble. What is not seen
    again by then ended while nobody looked."""
    tracker = Tracker(NOW)
    tracker.resume({"dependencies/dependency/Kafka": NOW - 900, "whom/channel/email": NOW - 800}, None, NOW)
    assert judged(well(), tracker, NOW + 10).last_problem_ended is None
    down = well().dependency("Kafka", False, False)
    assert judged(down, tracker, NOW + 200).since == NOW - 900
    assert tracker.going_on == {
        "dependencies/dependency/Kafka": NOW - 900,
        "whom/channel/email": NOW - 800,
    }
    judged(down, tracker, NOW + 400)
    assert set(tracker.going_on) == {"dependencies/dependency/Kafka"}
    assert judged(well(), tracker, NOW + 410).last_problem_ended == NOW + 410
    assert judged(down, tracker, NOW + 420).since == NOW + 420


def test_its_own_failure_is_what_it_says_first() -> None:
    """Figures that are old, or a look that failed, are not shown as how it is."""
    memory = well().memory
    assert report(memory, SETTINGS, Tracker(NOW), NOW).state == "well"
    assert report(memory, SETTINGS, Tracker(NOW), NOW + 60).state == "blind"
    memory.failed = "KeyError"
    assert report(memory, SETTINGS, Tracker(NOW), NOW).state == "blind"


def test_likely_causes_are_named_before_what_follows_from_them() -> None:
    world = well().dependency("Kafka", False, False)
    numbers = world.memory.processes["booking-worker"].now()
    world.process("booking-worker", {**numbers, key("creneau_relay_leads"): 0.0})
    assert [line.rule.code for line in report(world.memory, SETTINGS, Tracker(NOW), NOW).bad] == [
        "dependency",
        "relay",
    ]


# -- agreement -----------------------------------------------------------------------------------------------


def test_what_is_shared_with_others_is_named() -> None:
    """Stale agendas, unreadable calendars, what the SAS platform does not take, slots that cannot be made; and nothing of it
    while all is well."""
    reports = {key("creneau_sas_reports_total", outcome=o): 0.0 for o in ("told", "again", "refused")}
    numbers = {
        key("creneau_agendas_not_up_to_date"): 3.0,
        key("creneau_external_calendars_failing", problem="not-reached"): 0.0,
        key("creneau_external_calendars_failing", problem="not-allowed"): 1.0,
        key("creneau_external_calendars_failing", problem="too-large"): 1.0,
        key("creneau_school_calendar_days"): 120.0,
        **reports,
    }
    world = well().process("booking-worker", {**well().memory.processes["booking-worker"].now(), **numbers})
    told = {**reports, key("creneau_sas_reports_total", outcome="refused"): 4.0}
    unmade = key("creneau_openings_failed_total")
    unmeasured = {key("creneau_school_calendar_days"): 0.0}
    world.process("booking-api-1", {**reports, unmade: 0.0}, {**told, **unmeasured, unmade: 5.0})
    whom = {(line.rule.code, line.name) for line in world.lines() if line.section == "whom"}
    assert {("stale", "3"), ("calendars", "2"), ("sas", "4"), ("openings", "5"), ("school", "120")} <= whom
    assert [
        line
        for line in well().lines()
        if line.rule.code in ("stale", "calendars", "sas", "openings", "school")
    ] == []


def test_page_and_alerts_agree() -> None:
    """Each alert has a line of the page, with the same heading of the guide, and the headings exist."""
    alerts = yaml.safe_load((REPOSITORY / "deploy/observability/alerts.yml").read_text(encoding="utf-8"))
    runbooks = {
        r["alert"]: r["annotations"]["runbook"].partition("#")[2] for r in alerts["groups"][0]["rules"]
    }
    ours = {alert: rule.runbook for rule in RULES.values() for alert in rule.alerts}
    assert set(runbooks) == set(ours)
    assert {a for a in ours if ours[a] != runbooks[a]} == set()
    there = anchors((REPOSITORY / "docs/guides/operator.md").read_text(encoding="utf-8"))
    assert {rule.runbook for rule in RULES.values()} <= set(there)


def test_everything_that_is_judged_is_read() -> None:
    """A series that is asked for and never read would be well for ever."""
    rooms = (REPOSITORY / "services/web/src/creneau_web/ops/judging").glob("*.py")
    sources = [room.read_text(encoding="utf-8") for room in rooms if room.name != "wanted.py"]
    body = " ".join([*sources, "process_start_time_seconds creneau_process_info"])
    assert {name for name in WANTED if name.removesuffix("_timestamp_seconds") not in body} <= {
        "creneau_feed_failing_timestamp_seconds",
        "creneau_feed_received_timestamp_seconds",
    }


@pytest.mark.parametrize("text", ["a", "a=", "a=ftp://x:1", "a=http://"])
def test_places_are_read_strictly(text: str) -> None:
    with pytest.raises(ValueError, match="name=http"):
        places(text)


def test_places() -> None:
    one, other = places("a=http://h:1/, b=tcp://db:5432")
    assert (one.url, one.is_http, other.host, other.port, other.is_http) == (
        "http://h:1",
        True,
        "db",
        5432,
        False,
    )
