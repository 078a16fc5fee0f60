"""Any life of a small town, with everything that is told in it: what is told is right.

The short life is the same each time. The long one (`-m slow`) is another one each time: LIFE_EXAMPLES says how many, and
LIFE_SHRINK=1 has a failure made as short as possible, which takes many times as long. What a life was is told when it fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from services.notifications.tests.life.comparing import Loop
from services.notifications.tests.life.machine import Life
from services.notifications.tests.life.world import a_town

LIVES = {"short": (6, 25), "long": (int(os.environ.get("LIFE_EXAMPLES", "400")), 60)}


@pytest.mark.timeout(7200)
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
                derandomize=life == "short",
                database=None,
                phases=[Phase.generate, *([Phase.shrink] if os.environ.get("LIFE_SHRINK") else [])],
            ),
        )
    finally:
        loop.run(stack.aclose())
        loop.close()
