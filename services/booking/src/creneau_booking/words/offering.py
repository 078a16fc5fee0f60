"""Words of refusals: slots and agendas that a practice writes, and searches of slots."""

from __future__ import annotations

from creneau_booking.domain.access_rules import AGE_YEARS_MAX, DAYS_MAX
from creneau_booking.domain.refusals.offering import (
    ActorOfNobody,
    ActorOfOthers,
    ActorsNamedIn,
    BookableUnclear,
    NoAgendaNamed,
    RuleFault,
    RulesUnread,
    SlotClaimed,
    SlotFraction,
    SlotMadeMeanwhile,
    SlotOrder,
    SlotsNotSearchedBy,
    UnknownAgenda,
    UnknownZones,
    UnreadRule,
)
from creneau_booking.words.phrases import things_in_words
from creneau_shared.errors import BadRequest, Conflict, CreneauError, Forbidden, Issue, Unprocessable
from creneau_shared.fhir.zones import zone_issue
from creneau_shared.words import Theme

WORDS = Theme()
_ACTORS: dict[ActorsNamedIn, str] = {
    "appointment": "Appointment.participant",
    "schedule": "Schedule.actor",
}


@WORDS.says(SlotOrder)
def _(_: SlotOrder) -> CreneauError:
    return Unprocessable(
        "Le créneau doit finir après son début.",
        "The slot must end after it starts.",
        expression="Slot.end",
        details_code="slot-order",
    )


@WORDS.says(SlotFraction)
def _(r: SlotFraction) -> CreneauError:
    return Unprocessable(
        f"Un créneau commence et finit à la microseconde près au plus ; reçu « {r.said} ».",
        f"A slot starts and ends on a microsecond at the finest; got “{r.said}”.",
        expression=f"Slot.{r.element}",
        details_code="slot-fraction",
    )


@WORDS.says(NoAgendaNamed)
def _(r: NoAgendaNamed) -> CreneauError:
    return Unprocessable(
        "Slot.schedule doit désigner un agenda d'ici (Schedule/<id>) ; reçu"
        f" « {r.reference or 'sans référence'} ».",
        "Slot.schedule must name an agenda of this base (Schedule/<id>); got"
        f" “{r.reference or 'no reference'}”.",
        code="not-found",
        expression="Slot.schedule.reference",
        details_code="unknown-schedule",
    )


@WORDS.says(UnknownAgenda)
def _(r: UnknownAgenda) -> CreneauError:
    return Unprocessable(
        "Cet agenda n'existe pas ; créez-le avant ses créneaux.",
        "This agenda does not exist; create it before its slots.",
        code="not-found",
        expression="Slot.schedule",
        details_code="unknown-schedule",
        diagnostics=f"Schedule/{r.schedule}",
    )


@WORDS.says(SlotMadeMeanwhile)
def _(r: SlotMadeMeanwhile) -> CreneauError:
    return Conflict(
        "Cet identifiant est déjà celui d'un autre créneau.",
        "This id is another slot's already.",
        expression="Slot.id",
        diagnostics=f"Slot/{r.id}",
    )


@WORDS.says(SlotClaimed)
def _(r: SlotClaimed) -> CreneauError:
    return Conflict(
        "Ce créneau est pris par un rendez-vous : annulez ou déplacez d'abord ce rendez-vous.",
        "This slot is taken by an appointment: cancel or move that appointment first.",
        expression="Slot.status",
        details_code="slot-claimed",
        diagnostics=f"Slot/{r.id}: Appointment/{r.appointment}",
    )


@WORDS.says(BookableUnclear)
def _(_: BookableUnclear) -> CreneauError:
    return BadRequest(
        "bookable attend true, false ou whole.",
        "bookable takes true, false or whole.",
        code="value",
        expression="http.bookable",
    )


@WORDS.says(SlotsNotSearchedBy)
def _(r: SlotsNotSearchedBy) -> CreneauError:
    name = r.parameter + (f":{r.modifier}" if r.modifier else "")
    return BadRequest(
        f"La recherche de créneaux par {name} n'est pas prise en charge.",
        f"Searching slots by {name} is not supported.",
        code="not-supported",
        expression=f"http.{r.parameter}",
    )


AFTER_THE_DIRECTORY = {"Retry-After": "1"}
"""What the directory has just been told is known here within a second."""


@WORDS.says(ActorOfOthers)
def _(r: ActorOfOthers) -> CreneauError:
    fr, en = things_in_words([r.actor])
    return Forbidden(
        f"Appartient à un autre cabinet que ceux pour lesquels vous agissez : {fr}.",
        f"Belongs to another practice than those for which you act: {en}.",
        expression=_ACTORS[r.named_in],
        details_code="not-yours",
        diagnostics=r.actor,
    )


@WORDS.says(ActorOfNobody)
def _(r: ActorOfNobody) -> CreneauError:
    fr, en = things_in_words([r.actor])
    return Unprocessable(
        f"N'est pas, ou pas encore, connu ici comme appartenant à un cabinet : {fr}. Publiez-le d'abord dans l'annuaire"
        " (avec son organisation), puis recommencez dans un instant.",
        f"Not known here, or not yet, as belonging to a practice: {en}. Publish it in the directory first (with its"
        " organisation), then try again in a moment.",
        expression=_ACTORS[r.named_in],
        details_code="unknown-actor",
        diagnostics=r.actor,
        headers=AFTER_THE_DIRECTORY,
    )


@WORDS.says(UnknownZones)
def _(r: UnknownZones) -> CreneauError:
    return Unprocessable(issues=[zone_issue("Schedule", index, name) for index, name in r.zones])


@WORDS.says(RulesUnread)
def _(r: RulesUnread) -> CreneauError:
    return Unprocessable(issues=[_unread(r.resource_type, rule) for rule in r.rules])


def _unread(resource_type: str, rule: UnreadRule) -> Issue:
    fr, en = (said.format(rule.detail) for said in _FAULTS[rule.fault])
    where = f"{resource_type}.extension[{rule.index}]" + (f".{rule.element}" if rule.element else "")
    return Issue("invalid", fr, en, (where,), details_code="access-rule")


_FAULTS: dict[RuleFault, tuple[str, str]] = {
    "repeated": ("Cette règle est donnée deux fois.", "This rule is given twice."),
    "too-long": (f"Au plus {DAYS_MAX} jours.", f"At most {DAYS_MAX} days."),
    "days": (
        f"Une fenêtre de réservation a besoin de « days » (valueUnsignedInt), au plus {DAYS_MAX}.",
        f"A booking window needs “days” (valueUnsignedInt), at most {DAYS_MAX}.",
    ),
    "unknown-part": ("« {} » n'existe pas ici.", "There is no “{}” here."),
    "no-ages": ("Donnez low, high, ou les deux.", "Give low, high, or both of them."),
    "too-old": (f"Au plus {AGE_YEARS_MAX} ans.", f"At most {AGE_YEARS_MAX} years."),
    "ages-turned": ("high est inférieur à low.", "high is below low."),
    "boolean": ("oui ou non (valueBoolean)", "yes or no (valueBoolean)"),
    "count": ("Donnez un nombre, de 1 à 1 000.", "Give a number, from 1 to 1,000."),
    "yes-or-no": ("Répondez par true ou false.", "Answer by true or false."),
    "unit": ("L'unité (UCUM) est l'une de : {}.", "The unit (UCUM) is one of: {}."),
    "instant": (
        "Donnez un instant avec fuseau (valueInstant).",
        "Give an instant with an offset (valueInstant).",
    ),
    "number": ("La valeur est un nombre entier, zéro ou plus.", "The value is a whole number, 0 or more."),
}
