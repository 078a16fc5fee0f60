"""Clients of the running stack, one for each kind of caller."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.conformance.builders import Agenda
from tests.conformance.matrix.world import World
from tests.fixtures.stack import Stack


@pytest.fixture(scope="session")
def system(stack: Stack) -> Iterator[httpx.Client]:
    """Software with every right."""
    with stack.client("system") as client:
        yield client


@pytest.fixture(scope="session")
def anonymous(stack: Stack) -> Iterator[httpx.Client]:
    """Somebody without a token."""
    with stack.client(None) as client:
        yield client


@pytest.fixture
def agenda(system: httpx.Client) -> Agenda:
    """A fresh agenda of a professional who is nobody else's."""
    return Agenda.create(system)


@pytest.fixture(scope="module")
def world(unlimited_stack: Stack) -> World:
    """The practices, persons and things that the matrix of rights is about; new for each file, as creating changes it."""
    return World(unlimited_stack)
