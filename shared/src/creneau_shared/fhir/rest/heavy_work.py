"""Work that the interactions hand over because it takes a processor for long (`heavy/` does it in a process beside)."""

from __future__ import annotations

from typing import Any, Protocol


class HeavyWork(Protocol):
    """Does heavy jobs, and says from what size on they are heavy."""

    @property
    def bytes_min(self) -> int:
        """Input shorter than this is worked on in place."""
        ...

    async def do(self, job: str, *arguments: Any) -> Any:
        """Returns or raises what the job of `heavy.jobs` does; Unavailable when too much waits already."""
        ...

    async def close(self) -> None:
        """Ends the process that does the work."""
        ...
