"""The tasks of a worker (`worker.run_worker`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Task:
    """One long-running task: `run` works until the event is set; `stuck` tells whether it has stopped working."""

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]
    stuck: Callable[[], bool] = field(default=lambda: False)
