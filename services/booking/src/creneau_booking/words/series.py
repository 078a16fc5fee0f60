"""Words of refusals: series, their occurrences, and scopes that do not fit."""

from __future__ import annotations

from dataclasses import replace

from creneau_booking.domain.refusals.series import (
    OccurrenceRefused,
    OccurrenceWithoutDay,
    RecurrenceUnread,
    ScopeUnfit,
    SeriesBusy,
    SeriesOffPattern,
    SeriesTooLong,
    SeriesWithoutTime,
)
from creneau_shared.clock import shown
from creneau_shared.errors import BadRequest, Conflict, CreneauError, Issue, Unprocessable
from creneau_shared.fhir.rest.parameters import parameter_named
from creneau_shared.words import Theme

WORDS = Theme()
_TEMPLATE = "Appointment.extension.where(url.endsWith('recurrenceTemplate'))"


@WORDS.says(OccurrenceRefused)
def _(r: OccurrenceRefused) -> CreneauError:
    # Imported here, because the catalogue imports this module.
    from creneau_booking.words import told

    error = told(r.refusal)
    which = f"{r.number}/{r.total}"
    at = shown(r.start) if r.start is not None else "?"
    left_fr, left_en = (
        ("Rien n'est changé.", "Nothing is changed.")
        if r.standing
        else ("Rien n'est réservé.", "Nothing is booked.")
    )
    error.issues = tuple(
        replace(
            issue,
            fr=f"Rendez-vous {which} de la série ({at}) : {issue.fr} {left_fr}",
            en=f"Appointment {which} of the series ({at}): {issue.en} {left_en}",
            expression=_paths(r, issue),
            diagnostics=f"occurrence {r.number}, {r.start.isoformat() if r.start else 'no start'}"
            + (f": {issue.diagnostics}" if issue.diagnostics else ""),
        )
        for issue in error.issues
    )
    return error


def _paths(r: OccurrenceRefused, issue: Issue) -> tuple[str, ...]:
    if not r.itself:
        return (r.where,)
    return tuple(f"{r.where}.{path.removeprefix('Appointment.')}" for path in issue.expression) or (r.where,)


@WORDS.says(RecurrenceUnread)
def _(r: RecurrenceUnread) -> CreneauError:
    return Unprocessable(
        f"La série ne se comprend pas ({r.element}) : par jour, semaine, mois ou an (recurrenceType, weeklyTemplate,"
        " monthlyTemplate, yearlyTemplate), jusqu'à occurrenceCount ou lastOccurrenceDate, ou à des dates nommées"
        " (occurrenceDate).",
        f"The series cannot be read ({r.element}): by day, week, month or year (recurrenceType, weeklyTemplate,"
        " monthlyTemplate, yearlyTemplate), as often as occurrenceCount or up to lastOccurrenceDate, or on named dates"
        " (occurrenceDate).",
        expression=f"{_TEMPLATE}.extension.where(url='{r.element}')",
        details_code="recurrence-unread",
    )


@WORDS.says(OccurrenceWithoutDay)
def _(r: OccurrenceWithoutDay) -> CreneauError:
    month = f"{r.month:02}/{r.year}"
    return Unprocessable(
        f"Le rendez-vous {r.number} de la série ne peut pas exister : {month} n'a pas de {r.day}. Laissez-le de côté"
        f" (excludingRecurrenceId : {r.number}), ou choisissez un autre jour. Rien n'est réservé.",
        f"Appointment {r.number} of the series cannot exist: {month} has no day {r.day}. Leave it out"
        f" (excludingRecurrenceId: {r.number}), or choose another day. Nothing is booked.",
        expression=f"{_TEMPLATE}.extension.where(url='monthlyTemplate')",
        details_code="occurrence-without-day",
        diagnostics=f"occurrence {r.number}, {r.year}-{r.month:02}-{r.day:02}",
    )


@WORDS.says(SeriesTooLong)
def _(r: SeriesTooLong) -> CreneauError:
    return Unprocessable(
        f"Une série compte au plus {r.most} rendez-vous.",
        f"A series has {r.most} appointments at most.",
        expression=_TEMPLATE,
        details_code="series-too-long",
    )


@WORDS.says(SeriesOffPattern)
def _(r: SeriesOffPattern) -> CreneauError:
    return Unprocessable(
        f"Le premier rendez-vous ({shown(r.start)}) n'est pas un des jours de la série.",
        f"The first appointment ({shown(r.start)}) is on none of the days of the series.",
        expression="Appointment.start",
        details_code="series-off-pattern",
    )


@WORDS.says(SeriesWithoutTime)
def _(_: SeriesWithoutTime) -> CreneauError:
    return Unprocessable(
        "Dites quand commence la série : le créneau du premier rendez-vous (Appointment.slot).",
        "Say when the series begins: the slot of its first appointment (Appointment.slot).",
        expression="Appointment.slot",
        details_code="no-time",
    )


@WORDS.says(SeriesBusy)
def _(_: SeriesBusy) -> CreneauError:
    return Conflict(
        "Quelqu'un d'autre change un rendez-vous de cette série en ce moment : réessayez. Rien n'est changé.",
        "Somebody else is changing an appointment of this series at this moment: try again. Nothing is changed.",
        code="transient",
        expression="Appointment",
        details_code="series-busy",
    )


@WORDS.says(ScopeUnfit)
def _(r: ScopeUnfit) -> CreneauError:
    if r.why == "unknown":
        return BadRequest(
            f"« {r.scope} » n'est pas une portée : this, this-and-following ou all.",
            f"“{r.scope}” is no scope: this, this-and-following or all.",
            code="value",
            expression=parameter_named("scope"),
            details_code="series-scope",
        )
    fr, en = (
        ("ce rendez-vous n'est pas d'une série", "this appointment is in no series")
        if r.why == "not-a-series"
        else (
            "seuls une annulation ou un déplacement valent pour plusieurs",
            "only a cancellation or a move is for several",
        )
    )
    return Unprocessable(
        f"La portée « {r.scope} » ne convient pas : {fr}.",
        f"The scope “{r.scope}” does not fit: {en}.",
        expression="Appointment",
        details_code="series-scope",
    )
