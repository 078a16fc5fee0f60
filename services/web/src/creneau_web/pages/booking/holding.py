"""Keeping the chosen time while the person makes up their mind (`$hold`), and taking it (`$book`)."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from creneau_web.fhir.client import Answered
from creneau_web.fhir.refusal import CHANGED_MEANWHILE, RefusedError
from creneau_web.page import Page
from creneau_web.pages.booking.draft import Draft, Held, keep
from creneau_web.visits.model import ASKED
from creneau_web.visits.reading import HIDDEN
from creneau_web.visits.records import move

WORDS_WHILE = ("pending", "booked")
"""statuses in which a patient may write to the practice"""


CHANCES = 3
"""attempts to write before a conflict is told"""


async def hold(page: Page, draft: Draft) -> Held:
    """Have the slot kept for the draft's patient. RefusedError: 409 when somebody was faster, 422 and 429 by rule."""
    assert draft.patient is not None
    proposed = {
        "resourceType": "Appointment",
        **({"meta": {"security": [HIDDEN]}} if draft.hidden else {}),
        "status": "proposed",
        "slot": [{"reference": f"Slot/{draft.slot}"}],
        "start": draft.start.isoformat(),
        "end": draft.end.isoformat(),
        **({"serviceType": draft.services} if draft.services else {}),
        "participant": [{"actor": {"reference": f"Patient/{draft.patient}"}, "status": "accepted"}],
    }
    answered = await page.fhir.operation(
        "Appointment/$hold", [{"name": "appt-resource", "resource": proposed}], key=f"hold-{draft.key}"
    )
    draft.held = Held(
        appointment=_appointment(answered)["id"], patient=draft.patient, until=_until(page, answered)
    )
    await keep(page, draft)
    return draft.held


async def extend(page: Page, draft: Draft) -> Held:
    """Extends the hold."""
    assert draft.held is not None
    answered = await page.fhir.operation(f"Appointment/{draft.held.appointment}/$hold")
    draft.held = draft.held.model_copy(update={"until": _until(page, answered)})
    await keep(page, draft)
    return draft.held


async def book(page: Page, draft: Draft) -> str:
    """Books the hold, with the message to the practice; or moves there the appointment to be replaced. Returns the
    appointment's id. Stores first that it is being booked: the answer may be lost."""
    assert draft.held is not None
    draft.held.booking = True
    await keep(page, draft)
    id_ = draft.moving or draft.held.appointment
    if draft.comment:
        await _tell(page, id_, draft.comment)
    if draft.moving:
        status = await move(page.fhir, id_, draft.slot, f"move-{draft.key}")
    else:
        answered = await page.fhir.operation(f"Appointment/{id_}/$book", key=f"book-{draft.key}")
        status = str(answered.resource.get("status", ""))
    draft.asked = status == ASKED
    draft.booked = id_
    await keep(page, draft)
    return id_


async def _tell(page: Page, id_: str, comment: str) -> None:
    """Writes the message to the practice, unless it is there already: the button may be pressed twice at once."""
    for chance in range(CHANCES):
        read = await page.fhir.read("Appointment", id_)
        if read.resource.get("comment") == comment or read.resource.get("status") not in WORDS_WHILE:
            return
        change = {"op": "add", "path": "/comment", "value": comment}
        try:
            await page.fhir.patch("Appointment", id_, [change], etag=read.etag)
        except RefusedError as error:
            if error.refusal.status != CHANGED_MEANWHILE or chance == CHANCES - 1:
                raise
        else:
            return


def _appointment(answered: Answered) -> dict[str, Any]:
    """The Appointment of an answer: itself, in Parameters, or in a Bundle."""
    resource = answered.resource
    if resource.get("resourceType") == "Appointment":
        return resource
    parts = [p.get("resource", {}) for p in resource.get("parameter", ())]
    parts += [e.get("resource", {}) for e in resource.get("entry", ())]
    return next(part for part in parts if part.get("resourceType") == "Appointment")


def _until(page: Page, answered: Answered) -> datetime:
    """The instant in the Expires header."""
    expires = answered.headers.get("expires")
    return parsedate_to_datetime(expires) if expires else page.site.clock.now()
