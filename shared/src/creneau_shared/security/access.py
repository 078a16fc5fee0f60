"""Resolves for whom a principal acts, from the token and from the service's data about its holder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from creneau_shared.database.pool import Connection
from creneau_shared.security.principal import Principal
from creneau_shared.security.rights import MAY_ALL, Access, Rights
from creneau_shared.security.role_table import CONSUMERS, STAFF
from creneau_shared.type_table import COMPARTMENT, PUBLIC

__all__ = ["COMPARTMENT", "PUBLIC", "Access", "AccessPolicy", "Known", "Memberships", "Rights"]


@dataclass(frozen=True, slots=True)
class Known:
    """The service's data about a token's holder, beyond the token."""

    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Patient (id) whom they are or represent → what they may do for them"""
    oneself: frozenset[str] = frozenset()
    statements: Mapping[str, str] = field(default_factory=dict)
    """Patient (id) → the RelatedPerson (id) by which they act for them"""
    practices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Organization (id) for which they work, or that delegates to one of these → what they may do on its behalf"""
    own_practices: frozenset[str] = frozenset()
    """the practices (ids) for which they work, without those that delegate"""


class Memberships(Protocol):
    """Looks up the service's data about a principal, at `now`."""

    async def __call__(self, connection: Connection, principal: Principal, now: datetime) -> Known: ...


async def nothing_known(connection: Connection, principal: Principal, now: datetime) -> Known:
    """The `Memberships` of a service that has neither accounts nor memberships: returns an empty `Known`."""
    return Known()


class AccessPolicy:
    """Resolves the rights of a request from its principal."""

    def __init__(self, memberships: Memberships = nothing_known, *, anonymous_read: bool = True) -> None:
        self._memberships = memberships
        self.anonymous_read = anonymous_read
        """whether public information is open to callers without a token"""

    def needs_memberships(self, principal: Principal) -> bool:
        """Whether a lookup is needed; not for roles whose rights follow from the role alone."""
        if self._memberships is nothing_known:
            return False
        return principal.role in ("patient", *STAFF)

    async def rights(self, connection: Connection | None, principal: Principal, now: datetime) -> Rights:
        """The rights of a principal; `connection` is needed if memberships must be looked up."""
        known = Known()
        if connection is not None and self.needs_memberships(principal):
            known = await self._memberships(connection, principal, now)
        if principal.appointment is not None:
            return Rights(principal, known.people, anonymous_read=self.anonymous_read)
        people, oneself = dict(known.people), set(known.oneself)
        if principal.role in CONSUMERS and principal.patient:
            people[principal.patient] = MAY_ALL
            oneself.add(principal.patient)
        if principal.role == "counsellor":
            # A counsellor acts for a person who is present or gave a mandate; the token's `mandate` must say which.
            with_mandate = principal.acting_for if principal.mandate else None
            people = {with_mandate: MAY_ALL - {"manage"}} if with_mandate else {}
            oneself = set()
        practices, own = dict(known.practices), known.own_practices
        if principal.role in STAFF:
            practices |= dict.fromkeys(principal.organizations, MAY_ALL)
            own |= principal.organizations
        return Rights(
            principal,
            people,
            frozenset(oneself),
            practices,
            own,
            anonymous_read=self.anonymous_read,
            statements=known.statements,
        )
