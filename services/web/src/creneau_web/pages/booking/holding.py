"""Keeping the chosen time while the person makes up their mind (`$hold`), and taking it (`$book`)."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from creneau_web.fhir.client import Answered
from creneau_web.page import Page
from creneau_web.pages.booking.draft import Draft, Held, keep
from creneau_web.pages.booking.telling import tell, tell_moved
from creneau_web.visits.model import ASKED
from creneau_web.visits.reading import HIDDEN
from creneau_web.visits.records import move


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
    """Books the hold, with the message to the practice; or moves there the appointment to be replaced, which keeps its own
    message unless it is moved. Returns the appointment's id. Stores first that it is being booked: the answer may be
    lost."""
    assert draft.held is not None
    draft.held.booking = True
    await keep(page, draft)
    id_ = draft.moving or draft.held.appointment
    if draft.moving:
        status = await move(page.fhir, id_, draft.slot, f"move-{draft.key}")
    else:
        await tell(page.fhir, id_, draft.comment)
        answered = await page.fhir.operation(f"Appointment/{id_}/$book", key=f"book-{draft.key}")
        status = str(answered.resource.get("status", ""))
    draft.asked = status == ASKED
    draft.booked = id_
    await keep(page, draft)
    if draft.moving:
        draft.untold = not await tell_moved(page.fhir, id_, draft.comment)
    return id_


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
