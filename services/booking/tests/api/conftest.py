"""Somebody, and an agenda to be booked in: what most tests of the API begin with."""

from __future__ import annotations

import pytest
from services.booking.tests.practice import Agenda, Practice


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    return await practice.open_agenda()


@pytest.fixture
async def camille(practice: Practice) -> str:
    """A Patient (reference)."""
    return await practice.new_patient()
