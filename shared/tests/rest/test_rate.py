"""A patient's token may be used so often and no more; nobody else waits for them."""

from __future__ import annotations

import pytest

from creneau_shared.errors import TooManyRequests
from creneau_shared.http import rate
from creneau_shared.http.rate import PatientRate
from creneau_shared.security.principal import ANONYMOUS, Principal, Scope


def holder(subject: str, *scopes: str) -> Principal:
    return Principal(
        "https://issuer.example", subject, tuple(s for text in scopes if (s := Scope.parse(text)))
    )


PATIENT = holder("camille", "patient/Appointment.cruds")
OTHER = holder("dominique", "patient/Appointment.cruds")
SOFTWARE = holder("camille", "patient/Appointment.cruds", "system/*.cruds")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the bucket's clock shows; to be changed in place."""
    moment = [100.0]
    monkeypatch.setattr("creneau_shared.http.rate.time.monotonic", lambda: moment[0])
    return moment


def test_the_burst_then_the_rate(now: list[float]) -> None:
    limit = PatientRate(per_s=2.0, burst=3)
    for _ in range(3):
        limit.take(PATIENT)
    with pytest.raises(TooManyRequests) as refused:
        limit.take(PATIENT)
    assert refused.value.headers == {"Retry-After": "1"}
    now[0] += 0.5
    limit.take(PATIENT)
    with pytest.raises(TooManyRequests):
        limit.take(PATIENT)
    now[0] += 3600
    for _ in range(3):
        limit.take(PATIENT)
    with pytest.raises(TooManyRequests):
        limit.take(PATIENT)


def test_each_subject_has_a_bucket_of_their_own(now: list[float]) -> None:
    limit = PatientRate(per_s=1.0, burst=1)
    limit.take(PATIENT)
    limit.take(OTHER)
    with pytest.raises(TooManyRequests):
        limit.take(PATIENT)


def test_software_and_strangers_are_not_counted(now: list[float]) -> None:
    limit = PatientRate(per_s=1.0, burst=1)
    for _ in range(10):
        limit.take(SOFTWARE)
        limit.take(ANONYMOUS)


def test_memory_is_bounded(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "KEYS_REMEMBERED_MAX", 2)
    limit = PatientRate(per_s=1.0, burst=1)
    for subject in ("a", "b", "c"):
        limit.take(holder(subject, "patient/*.r"))
    limit.take(holder("a", "patient/*.r"))  # forgotten, so full again
    with pytest.raises(TooManyRequests):
        limit.take(holder("c", "patient/*.r"))
