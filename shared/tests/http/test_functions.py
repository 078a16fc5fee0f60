"""What requests are for, and that the figures of each are right enough to be read."""

from __future__ import annotations

import random

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from creneau_shared import functions
from creneau_shared.functions import function_of, is_failure
from creneau_shared.http.metering import Meter
from creneau_shared.metrics import fine_steps, settings_digest


@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        ("GET", "/fhir/Slot", "search"),
        ("POST", "/fhir/Slot/_search", "search"),
        ("GET", "/fhir/PractitionerRole", "search"),
        ("GET", "/fhir/Appointment/$find", "search"),
        ("POST", "/fhir/Appointment/$find", "search"),
        ("GET", "/fhir/Slot/$soonest", "search"),
        ("POST", "/fhir/Slot/$soonest", "search"),
        ("GET", "/fhir/Slot/12", None),
        ("GET", "/fhir/Appointment", None),
        ("POST", "/fhir/Appointment/_search", None),
        ("GET", "/fhir/Appointment/12", None),
        ("POST", "/fhir/Appointment/$hold", "book"),
        ("POST", "/fhir/Appointment/12/$book", "book"),
        ("POST", "/fhir/Appointment", "book"),
        ("PATCH", "/fhir/Appointment/12", "book"),
        ("DELETE", "/fhir/Appointment/12", "book"),
        ("PUT", "/fhir/Slot/12", "agendas"),
        ("POST", "/fhir/Schedule", "agendas"),
        ("PUT", "/fhir/Practitioner/12", None),
        ("GET", "/auth/retour", None),
        ("GET", "/", None),
        ("GET", "/health/ready", None),
        ("POST", "/fhir", None),
    ],
)
def test_what_a_request_is_for(method: str, path: str, function: str | None) -> None:
    functions.begin()
    assert function_of(method, path) == function


@pytest.mark.parametrize(
    ("writes", "function"), [(["Slot", "Appointment"], "agendas"), (["Appointment"], "book"), ([], None)]
)
def test_a_bundle_is_for_what_its_entries_write(writes: list[str], function: str | None) -> None:
    """Whoever has read it says so; the next request of the same task begins anew."""
    functions.begin()
    functions.tell(writes)
    assert function_of("POST", "/fhir") == function
    functions.begin()
    assert function_of("POST", "/fhir") is None


def test_times_are_right_within_a_tenth() -> None:
    """The p95 that is read from the steps, for times as short as a read and as long as a patience."""
    drawn, meter = random.Random(7), Meter(frozenset({"Slot"}))
    for median in (0.004, 0.05, 1.5):
        before = _buckets()
        times = sorted(drawn.lognormvariate(0, 0.5) * median for _ in range(4000))
        for seconds in times:
            meter.count("GET", "/fhir/Slot", 200, seconds)
        counts = {bound: count - before.get(bound, 0) for bound, count in _buckets().items()}
        assert _quantile(0.95, counts) == pytest.approx(times[int(0.95 * len(times))], rel=0.1)
    assert fine_steps(0.002, 30.0)[-1] >= 30.0


def _buckets() -> dict[float, float]:
    found = {}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name == "creneau_function_seconds_bucket" and sample.labels["function"] == "search":
                found[float(sample.labels["le"])] = sample.value
    return found


def _quantile(share: float, counts: dict[float, float]) -> float:
    """As `histogram_quantile` of Prometheus has it."""
    wanted, low, below = share * counts[float("inf")], 0.0, 0.0
    for bound in sorted(counts):
        if counts[bound] >= wanted:
            return low + (bound - low) * (wanted - below) / (counts[bound] - below)
        low, below = bound, counts[bound]
    raise AssertionError


class _Told(BaseSettings):
    host: str = "a"
    database_url: str = "postgresql://somebody:secret@db:5432/x"
    cursor_secret: str = ""
    other_secret: SecretStr = SecretStr("")
    pause_s: float = 1.0


def test_a_digest_of_settings_tells_what_changed_and_no_secret() -> None:
    """Where a process stands and who logs in change nothing; what it does, does."""
    plain = settings_digest(_Told())
    assert plain == settings_digest(_Told(host="b", database_url="postgresql://x:y@db:5432/x"))
    assert plain != settings_digest(_Told(pause_s=2.0))
    assert plain != settings_digest(_Told(database_url="postgresql://somebody:secret@other:5432/x"))
    one, two = settings_digest(_Told(cursor_secret="a")), settings_digest(_Told(cursor_secret="b"))
    assert one == two != plain


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (404, False), (500, True), (501, False), (503, True), (504, True)]
)
def test_what_is_not_offered_is_no_failure_of_the_deployment(status: int, failed: bool) -> None:
    """An alert would ring because somebody asks for an operation that does not exist."""
    assert is_failure(status) is failed
