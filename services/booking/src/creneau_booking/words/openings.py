"""Words of refusals: the opening rules of agendas, and closures."""

from __future__ import annotations

from creneau_booking.domain.openings.refusals import (
    ClosureTooLong,
    ClosureUnclear,
    OpeningFault,
    OpeningsUnread,
    TooManySlots,
    UnreadOpening,
)
from creneau_shared.errors import CreneauError, Issue, Unprocessable
from creneau_shared.fhir.rest.parameters import parameter_named
from creneau_shared.words import Theme

WORDS = Theme()

_FAULTS: dict[OpeningFault, tuple[str, str]] = {
    "missing": ("Il manque « {} ».", "“{}” is missing."),
    "code": ("Donnez l'un de : {}.", "Give one of: {}."),
    "duration": (
        "Donnez une durée d'une minute à un jour, en secondes entières (unités : {}).",
        "Give a duration from a minute to a day, in whole seconds (units: {}).",
    ),
    "order": ("La période finit avant de commencer.", "The period ends before it starts."),
    "date": ("Donnez au moins le jour.", "Give the day at least."),
    "too-long": (
        "Une période qui se répète dure au plus {} jours.",
        "A period that comes again lasts {} days at most.",
    ),
    "too-old": (
        "Une période dont on compte les répétitions commence il y a au plus {} jours ; donnez « until ».",
        "A period whose repetitions are counted began at most {} days ago; give “until”.",
    ),
    "too-often": ("Au plus {} fois par jour.", "At most {} times a day."),
    "too-many": (
        "Un agenda énonce au plus {} ouvertures et absences.",
        "An agenda states at most {} openings and absences.",
    ),
    "too-costly": (
        "Ces règles demandent trop de calcul : énoncez moins de périodes, qui se répètent moins souvent, ou raccourcissez"
        " l'horizon (planningHorizon).",
        "These rules take too much to work out: state fewer periods, that come again less often, or shorten the horizon"
        " (planningHorizon).",
    ),
    "frequency": ("La fréquence est l'une de : {}.", "The frequency is one of: {}."),
    "number": ("Nombre attendu : {}.", "Number expected: {}."),
    "day": ("« {} » n'est pas un jour (MO, 1MO, -1FR).", "“{}” is no day (MO, 1MO, -1FR)."),
    "not-with": ("Ces deux ne vont pas ensemble : {}.", "These two do not go together: {}."),
    "service": (
        "« {} » n'est pas parmi les prestations de l'agenda (fr-core-service-type-duration).",
        "“{}” is not among the agenda's services (fr-core-service-type-duration).",
    ),
}


@WORDS.says(OpeningsUnread)
def _(r: OpeningsUnread) -> CreneauError:
    return Unprocessable(issues=[_unread(opening) for opening in r.openings])


def _unread(opening: UnreadOpening) -> Issue:
    fr, en = (said.format(opening.detail) for said in _FAULTS[opening.fault])
    where = "Schedule.extension" + (f"[{opening.index}]" if opening.index is not None else "")
    where += f".{opening.element}" if opening.element else ""
    code = (
        "too-costly" if opening.fault in ("too-many", "too-often", "too-costly", "frequency") else "invalid"
    )
    return Issue(code, fr, en, (where,), details_code="opening-rule")


@WORDS.says(TooManySlots)
def _(r: TooManySlots) -> CreneauError:
    return Unprocessable(
        f"Ces règles demandent plus de {r.most} créneaux : raccourcissez l'horizon (planningHorizon), ou allongez"
        " les prestations.",
        f"These rules ask for more than {r.most} slots: shorten the horizon (planningHorizon), or make the services"
        " longer.",
        code="too-costly",
        expression="Schedule.extension",
        details_code="opening-too-many-slots",
    )


@WORDS.says(ClosureUnclear)
def _(_: ClosureUnclear) -> CreneauError:
    return Unprocessable(
        "Donnez la période à fermer (period, ou start et end) : elle finit après son début, et dans l'avenir.",
        "Give the period to be closed (period, or start and end): it ends after it starts, and is to come.",
        code="required",
        expression=parameter_named("period"),
        details_code="closure-period",
    )


@WORDS.says(ClosureTooLong)
def _(r: ClosureTooLong) -> CreneauError:
    return Unprocessable(
        f"Une fermeture couvre au plus {r.days} jours : fermez en plusieurs fois.",
        f"A closure covers {r.days} days at most: close in several steps.",
        code="too-costly",
        expression=parameter_named("period"),
        details_code="closure-period",
    )
