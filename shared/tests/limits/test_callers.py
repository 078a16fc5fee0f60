"""For whom a request counts, and what can be told of it afterwards: nothing."""

from __future__ import annotations

import pytest

from creneau_shared.limits.callers import Callers, network_of, standing_of
from creneau_shared.security.principal import ANONYMOUS, Principal, Scope
from creneau_shared.settings import ServiceSettings

DEPLOYMENT = "what the processes of one deployment share"


def callers(secret: str = DEPLOYMENT) -> Callers:
    return Callers.of(
        ServiceSettings(database_url="postgresql://nobody@127.0.0.1/none", cursor_secret=secret)
    )


def holder(subject: str, *scopes: str) -> Principal:
    found = tuple(scope for text in scopes if (scope := Scope.parse(text)))
    return Principal("https://issuer.example", subject, found)


PATIENT = holder("camille", "patient/Appointment.cruds")
SECRETARY = holder("dominique", "user/*.cruds")


@pytest.mark.parametrize(
    ("principal", "standing"),
    [
        (ANONYMOUS, "anonymous"),
        (PATIENT, "patient"),
        (SECRETARY, "staff"),
        (holder("loader", "system/*.cruds"), "system"),
        (holder("nothing"), "patient"),
    ],
)
def test_standing(principal: Principal, standing: str) -> None:
    """Whose token says nothing has the least of those who have one."""
    assert standing_of(principal) == standing


def test_an_address_is_counted_and_not_kept() -> None:
    """Both processes count for the same key, and a dump of the table names no address: not even by trying them all."""
    (one,) = callers().caller(ANONYMOUS, "198.51.100.7").counted
    (again,) = callers().caller(ANONYMOUS, "198.51.100.7").counted
    (elsewhere,) = callers("another deployment's").caller(ANONYMOUS, "198.51.100.7").counted
    assert one == again
    assert one.key != elsewhere.key
    assert b"198" not in one.key


def test_accounts_and_addresses_do_not_meet() -> None:
    """Who calls themselves like an address has no part in its bucket."""
    (address,) = callers().caller(ANONYMOUS, "198.51.100.7").counted
    (account,) = callers().caller(holder("198.51.100.7", "patient/*.r"), "198.51.100.7").counted
    assert address.key != account.key


def test_the_portal_of_the_country_is_one_client_of_millions() -> None:
    """A patient counts for themselves only; who works for a practice counts for the software, too."""
    (patient,) = callers().caller(PATIENT, None, "portal").counted
    secretary, software = callers().caller(SECRETARY, None, "editor").counted
    assert patient.limit.name == "patient"
    assert (secretary.limit.name, software.limit.name) == ("staff", "software")
    other = callers().caller(holder("claude", "user/*.cruds"), None, "editor").counted
    assert software in other
    assert secretary not in other


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_networks(address: str | None, network: str) -> None:
    """A household has a whole /64 to ask from."""
    assert network_of(address) == network
