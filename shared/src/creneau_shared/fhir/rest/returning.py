"""Applies `Prefer: return` to the answer to a write (FHIR R4 http.html#ops)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from creneau_shared.clock import shown
from creneau_shared.errors import Issue
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import Language, operation_outcome
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest


def as_preferred(answer: Answer, request: FhirRequest) -> None:
    """Leaves out the body (`minimal`), or replaces it by an OperationOutcome that says that the write was done."""
    if request.method in ("GET", "HEAD"):
        return
    if request.prefer.returning == "OperationOutcome":
        _as_outcome(answer, request.language)
    elif request.prefer.returning == "minimal" and answer.stored is not None:
        answer.content = None
        answer.headers.pop("Content-Location", None)


def is_written(answer: Answer) -> bool:
    """Whether the answer is to a write that was made."""
    return answer.stored is not None or answer.status == 204


def done(answer: Answer, language: Language) -> bytes:
    """The OperationOutcome of a write that was made, or of one (202) that waits for a decision until its `Expires`."""
    fr, en = "C'est fait.", "Done."
    if answer.status == 202:
        fr, en = "C'est enregistré, et attend une réponse", "It is stored, and waits for an answer"
        until = answer.headers.get("Expires")
        at = shown(parsedate_to_datetime(until)) if until else ""
        fr, en = (f"{fr} jusqu'au {at}.", f"{en} until {at}.") if at else (f"{fr}.", f"{en}.")
    said = Issue("informational", fr, en, severity="information")
    return dumps(operation_outcome([said], language))


def _as_outcome(answer: Answer, language: Language) -> None:
    if not is_written(answer):
        return
    answer.content = done(answer, language)
    answer.stored = None
    answer.headers.pop("Content-Location", None)
    if answer.status == 204:
        answer.status = 200
