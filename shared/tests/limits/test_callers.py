"""For whom a request counts, and what can be told of it afterwards: nothing."""

from __future__ import annotations

import pytest

from creneau_shared.limits.callers import Callers, network_of, standing_of
from creneau_shared.security.principal import ANONYMOUS, ROLES, Principal, Role
from creneau_shared.settings import ServiceSettings

DEPLOYMENT = "what the processes of one deployment share"


def callers(secret: str = DEPLOYMENT) -> Callers:
    return Callers.of(
        ServiceSettings(database_url="postgresql://nobody@127.0.0.1/none", cursor_secret=secret)
    )


def holder(subject: str, role: Role, client: str = "") -> Principal:
    return Principal("https://issuer.example", subject, role=role, client=client)


PATIENT = holder("camille", "patient", "portal")
SECRETARY = holder("dominique", "secretary", "editor")


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_role_has_a_limit_of_its_standing(role: Role) -> None:
    """Only `system` has none; whose token says nothing has the least of those who have one."""
    assert (standing_of(holder("x", role)) == "system") == (role == "system")
    assert standing_of(ANONYMOUS) == "anonymous"
    assert standing_of(holder("x", "public")) == "patient"


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
    (account,) = callers().caller(holder("198.51.100.7", "patient"), "198.51.100.7").counted
    assert address.key != account.key


def test_the_portal_of_the_country_is_one_client_of_millions() -> None:
    """A patient counts for themselves only; who works for a practice counts for the software, too."""
    (patient,) = callers().caller(PATIENT, None).counted
    secretary, software = callers().caller(SECRETARY, None).counted
    assert patient.limit.name == "patient"
    assert (secretary.limit.name, software.limit.name) == ("staff", "software")
    other = callers().caller(holder("claude", "secretary", "editor"), None).counted
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
