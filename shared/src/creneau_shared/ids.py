"""Identifiers that Créneau makes: UUIDv7, so that they sort by creation time."""

from __future__ import annotations

from uuid import UUID

import uuid_utils


def new_uuid() -> UUID:
    """A new UUIDv7 as a standard library UUID."""
    return UUID(int=uuid_utils.uuid7().int)


def is_of_ours(id_: str) -> bool:
    """Whether an id has the form of the ids that Créneau makes."""
    try:
        said = UUID(id_)
    except ValueError:
        return False
    return said.version == 7 and str(said) == id_


def new_id() -> str:
    """A new FHIR logical id: a UUIDv7 in lower case (36 characters, within FHIR's 64)."""
    return str(uuid_utils.uuid7())
