"""Which service answers an address, and which of its processes is asked."""

from __future__ import annotations

import httpx
import pytest

from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.upstreams.routing import Service, service_of
from creneau_shared.errors import Unavailable
from creneau_shared.type_table import TYPES

from .conftest import Services


@pytest.mark.parametrize(
    ("address", "service"),
    [
        *((name, row.service) for name, row in TYPES.items()),
        ("Slot/12/_history/3", "booking"),
        ("Location/$validate", "directory"),
        ("Practitioner/12/Schedule", "booking"),
        ("Practitioner/12/Communication", "notifications"),
        ("Patient/12/_history", "booking"),
        ("_async/notifications/12", "notifications"),
        ("_async/elsewhere/12", None),
        ("Observation/12", None),
        ("Observation/12/Slot", None),
        ("Observation/12/Schedule", "booking"),
        ("", None),
    ],
)
def test_an_address_has_one_service(address: str, service: Service | None) -> None:
    """A search in a compartment is where what it searches is held."""
    assert service_of([part for part in address.split("/") if part]) == service


def upstreams(services: Services) -> Upstreams:
    addresses = {"booking": ["http://booking-1", "http://booking-2", "http://booking-3"]}
    transport = httpx.MockTransport(services.handle)
    return Upstreams(addresses, lambda: httpx.AsyncClient(transport=transport))  # type: ignore[arg-type]


async def call(upstreams: Upstreams) -> int:
    return (await upstreams.call("booking", "GET", "/fhir/Slot", headers={})).status_code


async def test_processes_are_asked_in_turn(services: Services) -> None:
    over = upstreams(services)
    for _ in range(6):
        await call(over)
    hosts = [asked.headers["host"] for asked in services.asked]
    assert hosts == ["booking-1", "booking-2", "booking-3"] * 2


async def test_what_one_process_does_not_accept_another_does(services: Services) -> None:
    services.answer("booking", "/fhir/Slot", {})
    services.down = {"booking-1", "booking-3"}
    over = upstreams(services)
    assert [await call(over) for _ in range(4)] == [200] * 4
    services.down.add("booking-2")
    with pytest.raises(Unavailable):
        await call(over)


async def test_what_may_have_been_carried_out_is_not_sent_twice(services: Services) -> None:
    """A connection that breaks after the request was sent: nothing is booked twice."""

    def breaks(_: object) -> httpx.Response:
        raise httpx.ReadError("reset")

    services.says["booking", "/fhir/Slot"] = breaks
    with pytest.raises(Unavailable):
        await call(upstreams(services))
    assert len(services.asked) == 1
