"""Words of refusals: use of the rehearsal's agenda and patient by others."""

from __future__ import annotations

from creneau_booking.domain.refusals.rehearsal import RehearsalApart, RehearsalKept
from creneau_shared.errors import CreneauError, Forbidden, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()


@WORDS.says(RehearsalApart)
def _(_: RehearsalApart) -> CreneauError:
    return Unprocessable(
        "L'agenda d'essai et son patient ne vont qu'ensemble, et avec personne d'autre.",
        "The rehearsal's agenda and its patient go together only, and with nobody else.",
        expression="Appointment.participant",
        details_code="rehearsal-apart",
    )


@WORDS.says(RehearsalKept)
def _(r: RehearsalKept) -> CreneauError:
    return Forbidden(
        "Cette ressource sert aux essais du système ; lui seul l'écrit.",
        "This resource is for the system's rehearsals; it alone writes it.",
        expression=r.resource_type,
        details_code="rehearsal-kept",
    )
