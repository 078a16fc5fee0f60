"""How much the answers to the entries of one Bundle may be together: all are kept until the last is there."""

from __future__ import annotations

from creneau_shared.errors import TooLarge
from creneau_shared.limits.meter import Meter


class BundleAnswers:
    """The answers given so far: their bytes, and what they are counted for."""

    def __init__(self, bytes_max: int, meter: Meter) -> None:
        self._bytes_max = bytes_max
        self._meter = meter
        self._bytes = 0

    def require_room(self) -> None:
        """TooLarge once the answers are as much as they may be; asked before an entry is carried out."""
        if self._bytes >= self._bytes_max:
            raise answers_too_large(self._bytes_max)

    async def require_paid(self) -> None:
        """As `require_room`; TooManyRequests while the caller owes for the answers so far. Not within a transaction."""
        self.require_room()
        await self._meter.require_no_debt()

    def add(self, content: bytes | None) -> None:
        """Counts the content of an answer."""
        self._bytes += len(content or b"")
        self._meter.answered(self._bytes)


def answers_too_large(bytes_max: int) -> TooLarge:
    """The refusal of an entry that comes after as much as one Bundle is answered."""
    return TooLarge(
        f"Les réponses à un Bundle font ensemble au plus {bytes_max // 1024} Kio ; demandez le reste dans un autre.",
        f"The answers to one Bundle have at most {bytes_max // 1024} KiB together; ask for the rest in another one.",
        code="too-costly",
        expression="Bundle.entry",
        details_code="answers-too-large",
    )
