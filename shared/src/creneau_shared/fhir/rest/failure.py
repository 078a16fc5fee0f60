"""Maps every error to what the caller is told: the only place that does."""

from __future__ import annotations

import asyncpg
import structlog

from creneau_shared.correlation import correlation_id
from creneau_shared.database.failures import UNREACHABLE
from creneau_shared.errors import BadRequest, CreneauError, Unavailable
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import Language, operation_outcome
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.logging import describe

log = structlog.get_logger(__name__)

RIVALS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)


def failure(error: Exception, language: Language) -> Answer:
    """The answer that tells of `error`. An unforeseen error is logged, and its answer gives only a number."""
    known = _known(error)
    if known.status in (500, 503):
        log.error("request failed", error=describe(error), exc_info=error if known.status == 500 else None)
    outcome = operation_outcome(known.issues, language, id=correlation_id())
    return Answer(known.status, dumps(outcome), dict(known.headers))


def _known(error: Exception) -> CreneauError:
    if isinstance(error, CreneauError):
        return error
    if isinstance(error, TimeoutError | asyncpg.QueryCanceledError):
        return Unavailable(
            "La requête a pris trop de temps ; précisez-la ou réessayez.",
            "The request took too long; narrow it or try again.",
            code="timeout",
            headers={"Retry-After": "5"},
        )
    if isinstance(error, RIVALS):
        return Unavailable(
            "Une autre requête portait sur les mêmes données ; réessayez.",
            "Another request was about the same data; try again.",
            code="lock-error",
            headers={"Retry-After": "1"},
        )
    if isinstance(error, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError):
        return BadRequest(
            "Le texte contient un caractère qui ne peut être conservé (U+0000).",
            "The text holds a character that cannot be stored (U+0000).",
            code="value",
        )
    if isinstance(error, UNREACHABLE):
        return Unavailable(
            "Le service est momentanément indisponible ; réessayez dans un instant.",
            "The service is unavailable for the moment; try again shortly.",
            headers={"Retry-After": "2"},
        )
    return CreneauError(
        "Une erreur interne est survenue ; communiquez son numéro au support.",
        "An internal error occurred; tell its number to the support.",
        code="exception",
    )
