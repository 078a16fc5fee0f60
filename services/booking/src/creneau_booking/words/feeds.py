"""Words of refusals: slots that practices' software sends, and bookings in agendas that it no longer synchronises."""

from __future__ import annotations

from creneau_booking.domain.refusals.feeds import (
    AgendaNotUpToDate,
    AgendaWrittenMeanwhile,
    NewAgendaBusy,
    PageOfSlots,
    SlotOfAnotherAgenda,
    SlotOutsideWindow,
    SlotSentTwice,
    TooManySlots,
)
from creneau_shared.errors import Conflict, CreneauError, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()


@WORDS.says(AgendaNotUpToDate)
def _(r: AgendaNotUpToDate) -> CreneauError:
    return Unprocessable(
        "Cet agenda n'est pas à jour : le logiciel du cabinet ne l'a pas synchronisé depuis trop longtemps. Choisissez un"
        " autre professionnel, réessayez plus tard, ou appelez le cabinet.",
        "This agenda is not up to date: the practice's software has not synchronised it for too long. Choose another"
        " professional, try again later, or call the practice.",
        diagnostics=f"Schedule/{r.schedule}",
        expression="Appointment.slot",
        details_code="agenda-not-up-to-date",
    )


@WORDS.says(TooManySlots)
def _(r: TooManySlots) -> CreneauError:
    return Unprocessable(
        f"Au plus {r.most} créneaux à la fois ; envoyez des périodes plus courtes, chacune avec from et to.",
        f"At most {r.most} slots at once; send shorter periods, each with from and to.",
        code="too-costly",
        expression="Parameters.parameter",
        details_code="too-many-slots",
    )


@WORDS.says(SlotOfAnotherAgenda)
def _(r: SlotOfAnotherAgenda) -> CreneauError:
    return Unprocessable(
        f"Le créneau n° {r.number} est de l'agenda {r.reference}, pas de celui qui est synchronisé.",
        f"Slot no. {r.number} is of the agenda {r.reference}, not of the one that is synchronised.",
        expression="Slot.schedule",
        details_code="other-agenda",
    )


@WORDS.says(SlotOutsideWindow)
def _(r: SlotOutsideWindow) -> CreneauError:
    return Unprocessable(
        f"Le créneau n° {r.number} ne commence pas dans la période synchronisée (from inclus, to exclu).",
        f"Slot no. {r.number} does not start within the synchronised period (from included, to excluded).",
        expression="Slot.start",
        details_code="outside-window",
    )


@WORDS.says(PageOfSlots)
def _(_: PageOfSlots) -> CreneauError:
    return Unprocessable(
        "Ce Bundle n'est qu'une page d'une liste plus longue (un lien « next », ou un total plus grand que ses entrées) : ce qui"
        " manque serait supprimé. Envoyez tous les créneaux de la période, ou la période de cette page.",
        "This Bundle is a page of a longer list (a “next” link, or a total above its entries): what is missing would be deleted."
        " Send all slots of the period, or the period of this page.",
        code="incomplete",
        expression="Bundle.link",
        details_code="feed-page",
    )


@WORDS.says(SlotSentTwice)
def _(r: SlotSentTwice) -> CreneauError:
    return Unprocessable(
        f"L'identifiant {r.id} est envoyé deux fois.",
        f"The id {r.id} is sent twice.",
        code="duplicate",
        expression="Slot.id",
        details_code="slot-sent-twice",
    )


@WORDS.says(NewAgendaBusy)
def _(r: NewAgendaBusy) -> CreneauError:
    return Conflict(
        f"Le créneau doit aller dans Schedule/{r.schedule}, où quelqu'un prend ou rend du temps en ce moment : recommencez."
        " Rien n'est changé.",
        f"The slot is to go to Schedule/{r.schedule}, where somebody takes or gives back time at this moment: try again."
        " Nothing is changed.",
        code="transient",
        expression="Slot.schedule",
        details_code="agenda-busy",
    )


@WORDS.says(AgendaWrittenMeanwhile)
def _(r: AgendaWrittenMeanwhile) -> CreneauError:
    return Conflict(
        f"Les créneaux de Schedule/{r.schedule} changent sans cesse pendant la synchronisation ; recommencez.",
        f"The slots of Schedule/{r.schedule} keep changing while it is synchronised; try again.",
        expression="Slot",
        details_code="agenda-written-meanwhile",
    )
