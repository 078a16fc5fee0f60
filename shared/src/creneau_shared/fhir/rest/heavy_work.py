"""Work that the interactions hand over because it takes a processor for long (`heavy/` does it in a process beside)."""

from __future__ import annotations

from typing import Any, Protocol


class HeavyWork(Protocol):
    """Does heavy jobs, and says from what size on they are heavy."""

    @property
    def bytes_min(self) -> int:
        """What is shorter is done where it is."""
        ...

    async def do(self, job: str, *arguments: Any) -> Any:
        """What the job of `heavy.jobs` gives, or raises; Unavailable when too much waits already."""
        ...

    async def close(self) -> None:
        """End what does the work."""
        ...
