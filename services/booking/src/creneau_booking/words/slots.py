"""Words of refusals: slots and actors that do not exist, are not open, do not fit, or are taken already."""

from __future__ import annotations

from creneau_booking.domain.refusals.slots import (
    ActorsTaken,
    AgendaChangesHands,
    AgendaClosed,
    AppointmentOrder,
    GroupFull,
    JoinedMeanwhile,
    JoiningTaken,
    LastsTooLong,
    NoPartOfSlot,
    NoSlot,
    NoSlotThen,
    NoTime,
    OutOfReach,
    OutsideHorizon,
    OutsideSlots,
    PartOfSlot,
    PeopleBusy,
    PlaceTaken,
    SlotBegun,
    SlotsNotAdjacent,
    SlotsOfTwoKinds,
    SlotsUnclear,
    SlotTaken,
    UnknownSlots,
    VisitOfTooManySlots,
    VisitsToCome,
)
from creneau_booking.words.phrases import plain_references, things_in_words
from creneau_shared.clock import shown
from creneau_shared.errors import Conflict, CreneauError, Issue, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()
TIMES_TOLD_MAX = 5
"""the most visits whose times a refusal lists; further ones are only counted"""
_WITH_VISITS = {"Patient": ("Ce patient", "This patient"), "Schedule": ("Cet agenda", "This agenda")}


@WORDS.says(NoTime)
def _(_: NoTime) -> CreneauError:
    return Unprocessable(
        "Un rendez-vous a besoin d'un créneau, ou d'un début et d'une fin.",
        "An appointment needs a slot, or a start and an end.",
        expression="Appointment.start",
        details_code="no-time",
    )


@WORDS.says(AppointmentOrder)
def _(_: AppointmentOrder) -> CreneauError:
    return Unprocessable(
        "Le rendez-vous doit finir après son début.",
        "The appointment must end after it starts.",
        expression="Appointment.end",
        details_code="appointment-order",
    )


@WORDS.says(OutOfReach)
def _(r: OutOfReach) -> CreneauError:
    return Unprocessable(
        f"{r.kind}.{r.element} doit être entre {r.first} et {r.last}.",
        f"{r.kind}.{r.element} must be between {r.first} and {r.last}.",
        expression=f"{r.kind}.{r.element}",
        details_code="time-out-of-reach",
    )


@WORDS.says(LastsTooLong)
def _(r: LastsTooLong) -> CreneauError:
    return Unprocessable(
        f"Plus de {r.days} jours séparent le début de la fin.",
        f"More than {r.days} days lie between start and end.",
        expression=f"{r.kind}.end",
        details_code="lasts-too-long",
    )


@WORDS.says(OutsideSlots)
def _(r: OutsideSlots) -> CreneauError:
    return Unprocessable(
        f"Le rendez-vous ({shown(r.start)} – {shown(r.end)}) déborde de ses créneaux ({shown(r.first)} – {shown(r.last)}).",
        f"The appointment ({shown(r.start)} – {shown(r.end)}) reaches beyond its slots ({shown(r.first)} – {shown(r.last)}).",
        expression="Appointment.start",
        details_code="outside-slot",
    )


@WORDS.says(NoPartOfSlot)
def _(r: NoPartOfSlot) -> CreneauError:
    return Unprocessable(
        f"Le créneau du {shown(r.at)} n'a pas de part au rendez-vous ({shown(r.start)} – {shown(r.end)}).",
        f"The slot of {shown(r.at)} has no part in the appointment ({shown(r.start)} – {shown(r.end)}).",
        expression="Appointment.slot",
        details_code="outside-slot",
        diagnostics=f"Slot/{r.id}",
    )


@WORDS.says(PartOfSlot)
def _(r: PartOfSlot) -> CreneauError:
    return Unprocessable(
        f"Prenez le créneau du {shown(r.start)} en entier ; d'un créneau de deux heures ou plus, une part par pas de cinq"
        " minutes depuis son début, qui en laisse au moins cinq.",
        f"Take the slot of {shown(r.start)} whole; of a slot of two hours or more, a part in steps of five minutes from"
        " its start, which leaves five at least.",
        expression="Appointment.start",
        details_code="part-of-slot",
        diagnostics=f"Slot/{r.id}",
    )


@WORDS.says(VisitOfTooManySlots)
def _(r: VisitOfTooManySlots) -> CreneauError:
    return Unprocessable(
        f"Un rendez-vous pris en ligne dans cet agenda compte au plus {r.most} créneau(x), pas {r.count}.",
        f"An appointment that is booked online in this agenda has {r.most} slot(s) at most, not {r.count}.",
        expression="Appointment.slot",
        details_code="visit-of-too-many-slots",
    )


@WORDS.says(SlotsNotAdjacent)
def _(r: SlotsNotAdjacent) -> CreneauError:
    first, second = map(shown, r.starts)
    return Unprocessable(
        f"Les créneaux du {first} et du {second} ne se suivent pas.",
        f"The slots of {first} and of {second} do not follow each other.",
        expression="Appointment.slot",
        details_code="slots-not-adjacent",
        diagnostics=f"Slot/{r.before}, Slot/{r.after}",
    )


@WORDS.says(SlotsOfTwoKinds)
def _(r: SlotsOfTwoKinds) -> CreneauError:
    first, second = map(shown, r.starts)
    return Unprocessable(
        f"Les créneaux du {first} et du {second} ne sont pas pour la même chose : ils ne font pas un seul rendez-vous.",
        f"The slots of {first} and of {second} are not for the same thing: they do not make one appointment.",
        expression="Appointment.slot",
        details_code="slots-of-two-kinds",
        diagnostics=f"Slot/{r.one}, Slot/{r.other}",
    )


@WORDS.says(AgendaClosed)
def _(r: AgendaClosed) -> CreneauError:
    return Unprocessable(
        "Cet agenda n'est plus ouvert à la réservation.",
        "This agenda is no longer open for booking.",
        expression="Appointment.slot",
        details_code="schedule-inactive",
        diagnostics=f"Schedule/{r.schedule}",
    )


@WORDS.says(NoSlot)
def _(_: NoSlot) -> CreneauError:
    return Unprocessable(
        "Choisissez un créneau : Appointment.slot.",
        "Choose a slot: Appointment.slot.",
        code="required",
        expression="Appointment.slot",
        details_code="no-slot",
    )


@WORDS.says(SlotBegun)
def _(r: SlotBegun) -> CreneauError:
    return Unprocessable(
        f"Le créneau du {shown(r.start)} est passé.",
        f"The slot of {shown(r.start)} is in the past.",
        expression="Appointment.slot",
        details_code="slot-in-the-past",
    )


@WORDS.says(OutsideHorizon)
def _(r: OutsideHorizon) -> CreneauError:
    return Unprocessable(
        f"Le créneau du {shown(r.start)} est hors de la période que couvre son agenda.",
        f"The slot of {shown(r.start)} lies outside the period that its agenda covers.",
        expression="Appointment.slot",
        details_code="outside-horizon",
        diagnostics=f"Slot/{r.id}",
    )


@WORDS.says(UnknownSlots)
def _(r: UnknownSlots) -> CreneauError:
    fr, en = ("Ce créneau n'existe pas, ou plus.", "This slot does not exist, or no longer.")
    if len(r.ids) > 1:
        fr = f"{len(r.ids)} de ces créneaux n'existent pas, ou plus."
        en = f"{len(r.ids)} of these slots do not exist, or no longer."
    return Unprocessable(
        fr,
        en,
        code="not-found",
        expression="Appointment.slot",
        details_code="unknown-slot",
        diagnostics=", ".join(f"Slot/{id_}" for id_ in r.ids),
    )


@WORDS.says(NoSlotThen)
def _(r: NoSlotThen) -> CreneauError:
    return Unprocessable(
        f"Cet agenda n'a pas de créneau à {shown(r.start)}.",
        f"This agenda has no slot at {shown(r.start)}.",
        code="not-found",
        expression="Appointment.slot",
        details_code="unknown-slot",
        diagnostics=f"Schedule/{r.schedule}",
    )


@WORDS.says(SlotsUnclear)
def _(r: SlotsUnclear) -> CreneauError:
    return Unprocessable(issues=[_unclear(index, said) for index, said in r.said])


@WORDS.says(SlotTaken)
def _(r: SlotTaken) -> CreneauError:
    return Conflict(
        f"Le créneau du {shown(r.start)} "
        + (
            "est en cours de réservation par quelqu'un d'autre."
            if r.status == "busy-tentative"
            else "vient d'être pris."
        )
        + " Choisissez-en un autre.",
        f"The slot of {shown(r.start)} "
        + ("is being booked by someone else." if r.status == "busy-tentative" else "has just been taken.")
        + " Choose another one.",
        code="conflict",
        expression="Appointment.slot",
        details_code="slot-held" if r.status == "busy-tentative" else "slot-taken",
        diagnostics=f"Slot/{r.id} is {r.status}",
    )


@WORDS.says(GroupFull)
def _(r: GroupFull) -> CreneauError:
    if r.left:
        fr, en = (
            f"n'a plus que {r.left} place(s), pour {r.wanted}",
            f"has {r.left} place(s) left, for {r.wanted}",
        )
    else:
        fr, en = "est complet", "is full"
    return Conflict(
        f"Le créneau du {shown(r.start)} {fr}. Choisissez-en un autre.",
        f"The slot of {shown(r.start)} {en}. Choose another one.",
        code="conflict",
        expression="Appointment.slot",
        details_code="group-full",
        diagnostics=f"Slot/{r.id}: {r.left} left",
    )


@WORDS.says(PlaceTaken)
def _(r: PlaceTaken) -> CreneauError:
    return Conflict(
        f"La même personne a déjà une place au créneau du {shown(r.start)}.",
        f"The same person has a place in the slot of {shown(r.start)} already.",
        code="duplicate",
        expression="Appointment.participant",
        details_code="place-taken",
        diagnostics=f"Slot/{r.id}: {plain_references(r.persons)}",
    )


@WORDS.says(ActorsTaken)
def _(r: ActorsTaken) -> CreneauError:
    when = shown(r.start)
    if all(actor.startswith("Patient/") for actor in r.actors):
        fr = f"La même personne a déjà un rendez-vous à cette heure ({when})."
        en = f"The same person has an appointment at that time ({when}) already."
    else:
        who_fr, who_en = things_in_words(r.actors)
        fr = f"Un autre rendez-vous a lieu à cette heure ({when}) avec : {who_fr}."
        en = f"Another appointment is at that time ({when}) with: {who_en}."
    return Conflict(
        f"{fr} Choisissez un autre créneau.",
        f"{en} Choose another slot.",
        code="conflict",
        expression="Appointment.participant",
        details_code="actor-occupied",
        diagnostics=plain_references(r.actors),
    )


@WORDS.says(JoiningTaken)
def _(r: JoiningTaken) -> CreneauError:
    (who_fr, who_en), count = things_in_words(r.actors), len(r.starts)
    times = ", ".join(shown(start) for start in r.starts[:TIMES_TOLD_MAX])
    times += ", …" if count > TIMES_TOLD_MAX else ""
    return Conflict(
        f"À l'heure de {count} rendez-vous déjà pris dans cet agenda ({times}), n'est pas libre : {who_fr}. Déplacez ou"
        " annulez d'abord ce qui se chevauche. Rien n'est changé.",
        f"At the time of {count} appointment{'s' if count > 1 else ''} booked in this agenda ({times}), not free: {who_en}."
        " Move or cancel first what overlaps. Nothing is changed.",
        code="conflict",
        expression="Schedule.actor",
        details_code="actor-occupied",
        diagnostics=plain_references(r.actors),
    )


@WORDS.says(AgendaChangesHands)
def _(_: AgendaChangesHands) -> CreneauError:
    return Conflict(
        "Cet agenda vient de changer de professionnel ou de salle : recommencez. Rien n'est réservé.",
        "This agenda has just got another professional or room: try again. Nothing is booked.",
        code="transient",
        expression="Appointment.slot",
        details_code="agenda-busy",
    )


@WORDS.says(PeopleBusy)
def _(_: PeopleBusy) -> CreneauError:
    return Conflict(
        "Quelqu'un prend ou rend en ce moment du temps des mêmes personnes : recommencez. Rien n'est réservé.",
        "Somebody takes or gives back time of the same people at this moment: try again. Nothing is booked.",
        code="transient",
        expression="Appointment.slot",
        details_code="agenda-busy",
    )


@WORDS.says(JoinedMeanwhile)
def _(_: JoinedMeanwhile) -> CreneauError:
    return Conflict(
        "Quelqu'un prend ou rend en ce moment du temps des personnes de ces agendas : recommencez. Rien n'est changé.",
        "Somebody takes or gives back time of these agendas' people at this moment: try again. Nothing is changed.",
        code="transient",
        expression="Schedule.actor",
        details_code="agenda-busy",
    )


@WORDS.says(VisitsToCome)
def _(r: VisitsToCome) -> CreneauError:
    fr, en = _WITH_VISITS[r.resource_type]
    return Conflict(
        f"{fr} a {r.count} rendez-vous à venir : annulez-les ou déplacez-les d'abord.",
        f"{en} has {r.count} appointment{'s' if r.count > 1 else ''} to come: cancel or move first.",
        code="conflict",
        expression=r.resource_type,
        details_code="visits-to-come",
        diagnostics=f"{r.resource_type}/{r.id}: Appointment/{r.first}",
    )


def _unclear(index: int, said: str) -> Issue:
    return Issue(
        "not-found",
        f"Ce créneau n'est pas connu ici, ou pas sans ambiguïté : « {said} ». Nommez-le Slot/[id].",
        f"This slot is not known here, or not without doubt: “{said}”. Name it Slot/[id].",
        (f"Appointment.slot[{index}]",),
        details_code="unknown-slot",
    )
