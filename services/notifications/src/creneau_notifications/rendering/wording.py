"""The sentences of letters, in French and in English; those of one channel alone stand in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from creneau_notifications.domain.appointment import Mode
from creneau_notifications.domain.contact import Language
from creneau_notifications.domain.plan import Kind


@dataclass(frozen=True, slots=True)
class Ended:
    """For a request that came to nothing; of several: `{count}`, the first at `{when}`."""

    subject: str
    subject_of_several: str
    lead: str


@dataclass(frozen=True, slots=True)
class Wording:
    """The sentences of one language. `{when}` stands for the moment of the visit, `{name}` for the reader."""

    subject: Mapping[Kind, str]
    lead: Mapping[Kind, str]
    subject_of_several: Mapping[Kind, str]
    """`{count}` visits of a series, the first at `{when}`"""
    lead_of_several: Mapping[Kind, str]
    greeting: str
    greeting_alone: str
    """to someone whose name is not known, not to be repeated, or no name at all"""
    previously: str
    moved_since: str
    """`{when}`: the untold time to which a visit was moved before it was cancelled"""
    cancelled_by_patient: str
    cancelled_by_provider: str
    cancelled_unanswered: str
    """for a booked visit that needed agreement again"""
    refused: Ended
    unanswered: Ended
    waits_on: str
    """to whoever is back on the waiting list"""
    colon: str
    """between a label and what it labels: French puts a space before it"""
    when: str
    who: str
    where: str
    how: str
    modes: Mapping[Mode, str]
    offered_until: str
    """`{until}`: until when the offer is kept"""
    instead_of: str
    """`{when}`: the booked time that would be replaced"""
    instead_of_asked: str
    """`{when}`: the requested time, not agreed to"""
    answer: str
    manage: str
    see: str
    """for a visit maybe too near to change online"""
    manage_hint: str
    book_again: str
    calendar_hint: str
    phone: str
    phone_rebook: str
    phone_unknown: str
    confirm: str
    confirm_why: str
    confirm_not_me: str
    footer: str
    event_summary: str
    event_summary_alone: str
    alarm: str


FRENCH = Wording(
    subject={
        Kind.CONFIRMATION: "Votre rendez-vous du {when}",
        Kind.CHANGE: "Votre rendez-vous est modifié\u00a0: {when}",
        Kind.CANCELLATION: "Votre rendez-vous du {when} est annulé",
        Kind.REMINDER: "Rappel\u00a0: votre rendez-vous du {when}",
        Kind.OFFER: "Un créneau se libère\u00a0: {when}",
        Kind.PROPOSAL: "Une autre heure vous est proposée\u00a0: {when}",
    },
    lead={
        Kind.CONFIRMATION: "Votre rendez-vous est confirmé.",
        Kind.CHANGE: "Votre rendez-vous est modifié. Voici ce qui est désormais prévu.",
        Kind.CANCELLATION: "Le rendez-vous ci-dessous n’aura pas lieu.",
        Kind.REMINDER: "Nous vous rappelons votre rendez-vous.",
        Kind.OFFER: "Vous êtes sur une liste d’attente, et un créneau se libère pour vous.",
        Kind.PROPOSAL: "Le cabinet vous propose une autre heure pour votre rendez-vous.",
    },
    subject_of_several={
        Kind.CONFIRMATION: "Vos {count} rendez-vous à partir du {when}",
        Kind.CHANGE: "Vos {count} rendez-vous sont modifiés, à partir du {when}",
        Kind.CANCELLATION: "Vos {count} rendez-vous à partir du {when} sont annulés",
    },
    lead_of_several={
        Kind.CONFIRMATION: "Vos rendez-vous sont confirmés.",
        Kind.CHANGE: "Vos rendez-vous sont modifiés. Voici ce qui est désormais prévu.",
        Kind.CANCELLATION: "Les rendez-vous ci-dessous n’auront pas lieu.",
    },
    greeting="Bonjour {name},",
    greeting_alone="Bonjour,",
    previously="Il était prévu le {when}.",
    moved_since="Il avait entre-temps été déplacé au {when}, qui est annulé aussi.",
    cancelled_by_patient="Il a été annulé à votre demande.",
    cancelled_by_provider="Il a été annulé par le cabinet.",
    cancelled_unanswered="Le cabinet n’a pas répondu à temps.",
    refused=Ended(
        "Votre demande de rendez-vous n’est pas acceptée\u00a0: {when}",
        "Votre demande de {count} rendez-vous n’est pas acceptée, à partir du {when}",
        "Le cabinet n’a pas accepté votre demande\u00a0: rien n’est réservé.",
    ),
    unanswered=Ended(
        "Votre demande de rendez-vous est restée sans réponse\u00a0: {when}",
        "Votre demande de {count} rendez-vous est restée sans réponse, à partir du {when}",
        "Le cabinet n’a pas répondu à temps à votre demande\u00a0: rien n’est réservé.",
    ),
    waits_on="Vous gardez votre place sur la liste d’attente.",
    colon="\u00a0: ",
    when="Quand",
    who="Avec",
    where="Où",
    how="Comment",
    modes={
        Mode.PRACTICE: "Au cabinet",
        Mode.HOME: "À votre domicile",
        Mode.VIDEO: "En téléconsultation",
    },
    offered_until="Il vous est gardé jusqu’au {until}. Sans réponse de votre part, il sera proposé à la personne suivante\u00a0; "
    "vous gardez votre place sur la liste.",
    instead_of="Rien n’est changé pour l’instant\u00a0: vous pouvez accepter cette heure, garder celle du {when} ou renoncer au "
    "rendez-vous.",
    instead_of_asked="Rien n’est réservé pour l’instant\u00a0: vous pouvez accepter cette heure, laisser votre demande "
    "pour le {when} ou y renoncer.",
    answer="Accepter ou refuser",
    manage="Déplacer ou annuler",
    see="Voir le rendez-vous",
    manage_hint="Si vous ne pouvez pas venir, prévenez dès que possible\u00a0: quelqu’un attend peut-être.",
    book_again="Prendre un autre rendez-vous",
    calendar_hint="Le fichier joint rendez-vous.ics tient votre agenda à jour.",
    phone="Vous préférez parler à quelqu’un\u00a0? Appelez le {phone}.",
    phone_rebook="Pour un autre rendez-vous, vous pouvez aussi appeler le {phone}.",
    phone_unknown="Vous préférez parler à quelqu’un\u00a0? Appelez le cabinet, ou allez dans une maison "
    "France services\u00a0: un conseiller peut faire la démarche avec vous.",
    confirm="Dire si cette adresse est la mienne",
    confirm_why="Cette adresse nous a été donnée en ligne et n’est pas encore confirmée\u00a0: dites-nous qu’elle est la "
    "vôtre, sinon nos prochains messages, rappels compris, ne partiront pas.",
    confirm_not_me="Vous n’avez rien demandé\u00a0? La même page permet de le dire\u00a0: nous n’écrirons plus à cette adresse.",
    footer="Message automatique de Créneau\u00a0: les réponses à cette adresse ne sont pas lues.",
    event_summary="Rendez-vous avec {name}",
    event_summary_alone="Rendez-vous",
    alarm="Votre rendez-vous approche",
)

ENGLISH = Wording(
    subject={
        Kind.CONFIRMATION: "Your appointment on {when}",
        Kind.CHANGE: "Your appointment has changed: {when}",
        Kind.CANCELLATION: "Your appointment on {when} is cancelled",
        Kind.REMINDER: "Reminder: your appointment on {when}",
        Kind.OFFER: "A time has become free: {when}",
        Kind.PROPOSAL: "Another time is proposed to you: {when}",
    },
    lead={
        Kind.CONFIRMATION: "Your appointment is confirmed.",
        Kind.CHANGE: "Your appointment has changed. This is what is planned now.",
        Kind.CANCELLATION: "The appointment below will not take place.",
        Kind.REMINDER: "This is a reminder of your appointment.",
        Kind.OFFER: "You are on a waiting list, and a time has become free for you.",
        Kind.PROPOSAL: "The practice proposes another time for your appointment.",
    },
    subject_of_several={
        Kind.CONFIRMATION: "Your {count} appointments from {when}",
        Kind.CHANGE: "Your {count} appointments have changed, from {when}",
        Kind.CANCELLATION: "Your {count} appointments from {when} are cancelled",
    },
    lead_of_several={
        Kind.CONFIRMATION: "Your appointments are confirmed.",
        Kind.CHANGE: "Your appointments have changed. This is what is planned now.",
        Kind.CANCELLATION: "The appointments below will not take place.",
    },
    greeting="Hello {name},",
    greeting_alone="Hello,",
    previously="It had been planned for {when}.",
    moved_since="It had been moved to {when} meanwhile, which is cancelled too.",
    cancelled_by_patient="It was cancelled at your request.",
    cancelled_by_provider="It was cancelled by the practice.",
    cancelled_unanswered="The practice did not answer in time.",
    refused=Ended(
        "Your request for an appointment is not accepted: {when}",
        "Your request for {count} appointments is not accepted, from {when}",
        "The practice has not accepted your request: nothing is booked.",
    ),
    unanswered=Ended(
        "Your request for an appointment had no answer: {when}",
        "Your request for {count} appointments had no answer, from {when}",
        "The practice did not answer your request in time: nothing is booked.",
    ),
    waits_on="You keep your place on the waiting list.",
    colon=": ",
    when="When",
    who="With",
    where="Where",
    how="How",
    modes={
        Mode.PRACTICE: "At the practice",
        Mode.HOME: "At your home",
        Mode.VIDEO: "By video",
    },
    offered_until="It is kept for you until {until}. Without an answer from you it will be offered to the next person; "
    "you keep your place on the list.",
    instead_of="Nothing has changed yet: you can accept this time, keep the one on {when}, or give the appointment up.",
    instead_of_asked="Nothing is booked yet: you can accept this time, leave your request for {when}, or give it up.",
    answer="Accept or refuse",
    manage="Move or cancel",
    see="See the appointment",
    manage_hint="If you cannot come, please say so as soon as possible: someone else may be waiting.",
    book_again="Book another appointment",
    calendar_hint="The attached file rendez-vous.ics keeps your calendar up to date.",
    phone="Would you rather speak to someone? Call {phone}.",
    phone_rebook="For another appointment you can also call {phone}.",
    phone_unknown="Would you rather speak to someone? Call the practice, or visit a France services house: "
    "an adviser can do it with you.",
    confirm="Say whether this address is mine",
    confirm_why="This address was given to us online and is not confirmed yet: tell us that it is yours, or our next "
    "messages, reminders included, will not be sent.",
    confirm_not_me="You asked for nothing? Say so on the same page: we shall not write to this address any more.",
    footer="Automatic message from Créneau: replies to this address are not read.",
    event_summary="Appointment with {name}",
    event_summary_alone="Appointment",
    alarm="Your appointment is coming up",
)

WORDINGS: Mapping[Language, Wording] = {"fr": FRENCH, "en": ENGLISH}
