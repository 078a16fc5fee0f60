"""Limits on one resource and on a Bundle of requests: what is stored is indexed, kept in a history, told on the bus and
shown to people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from creneau_shared.errors import TooLarge, Unprocessable
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.page_bytes import WHOLE_BYTES_MAX
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.limits.meter import Meter

BUNDLE_ENTRIES_MAX = 1000
"""entries of a batch or transaction"""
ARCHIVE_BYTES_MAX = WHOLE_BYTES_MAX
"""of a person's archive, before its last page"""
_LONG_BY_NATURE = frozenset({"div", "data"})
"""narratives and base64: bounded by the size of the resource alone, and not indexed as they are"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`bytes_max` of a resource as JSON, `text_characters_max` of any one text in it, `bundle_answer_bytes_max` of the answers
    to one Bundle together."""

    bytes_max: int
    text_characters_max: int
    bundle_answer_bytes_max: int

    def check_size(self, resource: Resource) -> int:
        """The bytes of the resource; TooLarge when there are too many."""
        size = len(dumps(resource))
        if size > self.bytes_max:
            raise TooLarge(
                f"La ressource fait {size // 1024} Kio ; {self.bytes_max // 1024} Kio au plus.",
                f"The resource has {size // 1024} KiB; {self.bytes_max // 1024} KiB at the most.",
                expression=str(resource.get("resourceType", "")),
                details_code="resource-too-large",
            )
        return size

    def check(self, resource: Resource) -> None:
        """Raises what `check_size` and `check_texts` raise."""
        if self.check_size(resource) > self.text_characters_max:
            self.check_texts(resource)

    def check_texts(self, resource: Resource) -> None:
        """Unprocessable, naming the element, for a text that is too long; also for the input of an operation that writes."""
        for path, text in _texts(resource):
            if len(text) > self.text_characters_max:
                raise Unprocessable(
                    f"{path} a {len(text)} caractères ; {self.text_characters_max} au plus.",
                    f"{path} has {len(text)} characters; {self.text_characters_max} at the most.",
                    code="too-long",
                    expression=path,
                    details_code="text-too-long",
                )


def _texts(resource: Resource) -> Iterator[tuple[str, str]]:
    """The texts of a resource with their paths, except narratives and base64."""
    pending: list[tuple[str, Any]] = [(str(resource.get("resourceType", "")), resource)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, list):
            pending += [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            pending += [
                (f"{path}.{name}", item) for name, item in value.items() if name not in _LONG_BY_NATURE
            ]


class BundleAnswers:
    """The answers given so far to the entries of one Bundle, which are kept until the last is there: their bytes, and what
    they are counted for."""

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


def require_room_in_archive(size: int) -> None:
    """TooLarge when an archive has so many bytes before its last page that it is not kept until that is there: such a record
    comes by the pages of `$everything`. Asked before each further page."""
    if size > ARCHIVE_BYTES_MAX:
        raise TooLarge(
            f"Ces données dépassent {ARCHIVE_BYTES_MAX >> 20} Mio, trop pour une archive : lisez-les page par page"
            " ($everything?versions=true).",
            f"These data are more than {ARCHIVE_BYTES_MAX >> 20} MiB, too much for one archive: read them page by page"
            " ($everything?versions=true).",
            code="too-costly",
            expression="Patient",
            details_code="archive-too-large",
        )
