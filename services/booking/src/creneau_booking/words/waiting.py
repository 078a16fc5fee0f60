"""Words of refusals: wishes on the waiting list, and changes of offers."""

from __future__ import annotations

from creneau_booking.domain.refusals.waiting import (
    AwaitedUnknown,
    NothingEarlier,
    OfferNotMovable,
    ReplacedNotTheirs,
    SeriesNotAwaited,
    UnreadableWish,
    VisitNotBooked,
    WishOver,
)
from creneau_shared.errors import CreneauError, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()

_NOT_BOOKED = {
    "proposed": ("n'est pas encore pris", "is not booked yet"),
    "pending": ("n'est pas encore pris", "is not booked yet"),
    "waitlist": ("est lui-même une demande en liste d'attente", "is a request on the waiting list itself"),
    "cancelled": ("a été annulé", "has been cancelled"),
    "entered-in-error": ("a été saisi par erreur", "was entered in error"),
}
"""status → why nothing earlier can be waited for; for other statuses: the visit is not to come any more"""


@WORDS.says(UnreadableWish)
def _(r: UnreadableWish) -> CreneauError:
    name = r.url.rpartition("/")[2]
    return Unprocessable(
        f"L'extension « {name} » de cette demande ne se lit pas : voyez sa définition (StructureDefinition).",
        f"The extension “{name}” of this request cannot be read: see its definition (StructureDefinition).",
        expression=f"Appointment.extension.where(url='{r.url}')",
        details_code="unreadable-wish",
    )


@WORDS.says(AwaitedUnknown)
def _(r: AwaitedUnknown) -> CreneauError:
    named = ", ".join(f"Schedule/{id_}" for id_ in r.agendas)
    return Unprocessable(
        f"Agenda inconnu : {named}.",
        f"Unknown agenda: {named}.",
        code="not-found",
        expression=f"Appointment.extension.where(url='{r.url}')",
        details_code="unknown-schedule",
    )


@WORDS.says(WishOver)
def _(_: WishOver) -> CreneauError:
    return Unprocessable(
        "La période souhaitée est passée : rien ne pourrait être proposé. Indiquez une date à venir.",
        "The period that would do is over: nothing could be offered. Give a date to come.",
        expression="Appointment.requestedPeriod",
        details_code="wish-over",
    )


@WORDS.says(SeriesNotAwaited)
def _(r: SeriesNotAwaited) -> CreneauError:
    return Unprocessable(
        "Une série ne s'attend pas en liste d'attente : les places se libèrent une à une. Demandez un seul rendez-vous.",
        "A series cannot wait on the waiting list: places are freed one by one. Ask for one appointment.",
        expression=f"Appointment.extension.where(url='{r.url}')",
        details_code="series-not-awaited",
    )


@WORDS.says(VisitNotBooked)
def _(r: VisitNotBooked) -> CreneauError:
    fr, en = _NOT_BOOKED.get(r.status, ("n'est plus à venir", "is not to come any more"))
    return Unprocessable(
        f"Ce rendez-vous {fr} : une place plus tôt ne s'attend que pour un rendez-vous pris.",
        f"This appointment {en}: something earlier is only waited for instead of one that is booked.",
        expression="Appointment.status",
        details_code="visit-not-booked",
        diagnostics=r.status,
    )


@WORDS.says(ReplacedNotTheirs)
def _(r: ReplacedNotTheirs) -> CreneauError:
    return Unprocessable(
        "Une demande en liste d'attente ne peut remplacer qu'un rendez-vous pris par la même personne.",
        "A request on the waiting list can only replace an appointment that is booked for the same person.",
        expression="Appointment.extension",
        details_code="replaced-not-yours",
    )


@WORDS.says(NothingEarlier)
def _(r: NothingEarlier) -> CreneauError:
    return Unprocessable(
        "Ce rendez-vous a commencé : aucune place plus tôt ne peut être attendue.",
        "This appointment has begun: nothing earlier can be waited for.",
        expression="Appointment.start",
        details_code="already-started",
    )


@WORDS.says(OfferNotMovable)
def _(r: OfferNotMovable) -> CreneauError:
    return Unprocessable(
        "Une proposition de la liste d'attente s'accepte ou se refuse ; elle ne se déplace ni ne se prolonge.",
        "An offer of the waiting list is accepted or refused; it is neither moved nor extended.",
        expression="Appointment.status",
        details_code="offer-not-movable",
    )
