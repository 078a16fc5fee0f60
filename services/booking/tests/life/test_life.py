"""Any life of a small town, with everything that booking does in it: the model never disagrees with the database."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from services.booking.tests.life.machine import Life, Loop
from services.booking.tests.life.world import a_town

LIVES = {"short": (10, 30), "long": (int(os.environ.get("LIFE_EXAMPLES", "400")), 60)}


@pytest.mark.parametrize("life", ["short", pytest.param("long", marks=pytest.mark.slow)])
def test_life(new_database: Callable[..., str], template: str, life: str) -> None:
    examples, steps = LIVES[life]
    loop, stack = Loop(), AsyncExitStack()
    try:
        Life.loop = loop
        Life.town = loop.run(stack.enter_async_context(a_town(new_database(template=template))))
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
                phases=[Phase.reuse, Phase.generate] if os.environ.get("LIFE_FAST") else list(Phase),
                database=None,
            ),
        )
    finally:
        loop.run(stack.aclose())
        loop.close()
