"""The message to the practice, written into the appointment."""

from __future__ import annotations

import structlog

from creneau_web.fhir.client import Fhir
from creneau_web.fhir.refusal import CHANGED_MEANWHILE, RefusedError, UnreachableError

log = structlog.get_logger(__name__)

WORDS_WHILE = ("pending", "booked")
"""statuses in which a patient may write to the practice"""

CHANCES = 3
"""attempts to write before a conflict is told"""


async def tell(fhir: Fhir, id_: str, comment: str) -> None:
    """Writes the message into the appointment, if there is one and it is not there already: the button may be pressed twice
    at once. RefusedError: 412 when others keep changing it."""
    for chance in range(CHANCES if comment else 0):
        read = await fhir.read("Appointment", id_)
        if read.resource.get("comment") == comment or read.resource.get("status") not in WORDS_WHILE:
            return
        change = {"op": "add", "path": "/comment", "value": comment}
        try:
            await fhir.patch("Appointment", id_, [change], etag=read.etag)
        except RefusedError as error:
            if error.refusal.status != CHANGED_MEANWHILE or chance == CHANCES - 1:
                raise
        else:
            return


async def tell_moved(fhir: Fhir, id_: str, comment: str) -> bool:
    """As `tell`, for a visit that is moved already: its move is not undone by a message that fails. Returns False then."""
    try:
        await tell(fhir, id_, comment)
    except (RefusedError, UnreachableError) as error:
        log.warning("booking.message_untold", error=error)
        return False
    return True
