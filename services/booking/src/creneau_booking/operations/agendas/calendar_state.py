"""The state of the calendar that an agenda follows, as its practice is told it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from creneau_booking.domain.not_read import Problem
from creneau_booking.storage.outside.followed_calendars import LastReading
from creneau_shared.errors import Issue
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.outcome import Language, operation_outcome

_SAID: dict[Problem, tuple[str, str, str]] = {
    "not-reached": (
        "calendar-not-reached",
        "Ce calendrier n'a pas pu être joint. Les heures lues auparavant restent prises.",
        "This calendar could not be reached. What was read before stays busy.",
    ),
    "led-away": (
        "calendar-led-away",
        "L'adresse de ce calendrier mène ailleurs : à un réseau qui n'est pas public, à un autre domaine ou à une connexion"
        " sans chiffrement, où un mot de passe n'est pas donné. Donnez l'adresse où il est vraiment.",
        "The address of this calendar leads elsewhere: into a network that is not public, to another domain or to a"
        " connection without encryption, where no password is given. Give the address where it really is.",
    ),
    "not-allowed": (
        "calendar-not-allowed",
        "Ce calendrier n'est pas ouvert à cette adresse, cet utilisateur et ce mot de passe ; certains services demandent un"
        " mot de passe d'application. Donnez-les de nouveau.",
        "This calendar is not open to this address, user and password; some services ask for an application password. Give"
        " them again.",
    ),
    "unreadable": (
        "calendar-unreadable",
        "Il n'y a pas de calendrier lisible à cette adresse.",
        "There is no readable calendar at this address.",
    ),
    "too-large": (
        "calendar-too-large",
        "Ce calendrier est trop grand pour être lu. Donnez l'adresse d'un seul calendrier, ou d'un plus petit.",
        "This calendar is too large to be read. Give the address of one calendar only, or of a smaller one.",
    ),
    "password-lost": (
        "calendar-password-lost",
        "Le mot de passe de ce calendrier n'est plus lisible ici. Donnez-le de nouveau.",
        "The password of this calendar can be read here no more. Give it again.",
    ),
}


def told(last: LastReading | None, language: Language) -> list[dict[str, Any]]:
    """Returns the parameters that tell the calendar's host, when it was read last, what is wrong, and since when."""
    if last is None:
        return [{"name": "following", "valueBoolean": False}]
    parts: list[dict[str, Any]] = [{"name": "following", "valueBoolean": True}, host(last.url)]
    if last.read_at is not None:
        parts.append({"name": "read-at", "valueInstant": exact_instant(last.read_at)})
    if last.failing_since is not None:
        parts.append({"name": "failing-since", "valueInstant": exact_instant(last.failing_since)})
    if last.problem is not None:
        code, fr, en = _SAID[last.problem]
        issue = Issue("processing", fr, en, severity="warning", details_code=code)
        parts.append({"name": "problem", "resource": operation_outcome([issue], language)})
    return parts


def host(url: str) -> dict[str, Any]:
    """Returns the parameter with the calendar's host alone: the rest of its address may be a secret."""
    return {"name": "host", "valueString": urlsplit(url).hostname or ""}
