"""The meanings of our extensions for the openings of an agenda (Schedule), by the extension's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OPENINGS: Final[Mapping[str, tuple[str, str]]] = {
    "schedule-minimum-notice": (
        "Délai avant le début du créneau en deçà duquel un patient ne réserve plus (autre nom de minimum-notice).",
        "How long before the start of a slot a patient can last book it (another name of minimum-notice).",
    ),
    "schedule-buffer-before": (
        "Temps gardé libre avant chaque créneau tiré des ouvertures.",
        "Time kept free before each slot that is made from the openings.",
    ),
    "schedule-buffer-after": (
        "Temps gardé libre après chaque créneau tiré des ouvertures.",
        "Time kept free after each slot that is made from the openings.",
    ),
    "schedule-alignment-grid": (
        "Les créneaux tirés des ouvertures commencent à un multiple de cette durée, compté depuis minuit au lieu de"
        " l'agenda.",
        "Slots that are made from the openings start at a multiple of this, counted from midnight of the agenda's place.",
    ),
    "schedule-uses-role-hours": (
        "L'agenda suit les heures de sa situation d'exercice : PractitionerRole.availableTime s'il n'énonce pas"
        " d'ouverture, notAvailable dans tous les cas.",
        "The agenda follows the hours of its role: PractitionerRole.availableTime where it states no opening of its own,"
        " notAvailable in any case.",
    ),
    "schedule-open-on-public-holidays": (
        "L'agenda est ouvert les jours fériés de son lieu ; sinon il est fermé.",
        "The agenda is open on the public holidays of its place; otherwise it is closed.",
    ),
    "opening-service-type": (
        "Prestation proposée dans cette ouverture, parmi celles de l'agenda ; sans cela, toutes.",
        "A service that is offered in this opening, among the agenda's; without any, all of them.",
    ),
    "opening-appointment-type": (
        "Slot.appointmentType des créneaux de cette ouverture, ou de toutes.",
        "Slot.appointmentType of the slots of this opening, or of all.",
    ),
    "opening-new-patients": (
        "Si l'ouverture est pour tous, même si l'agenda ne l'est pas (true), ou pour ceux que le cabinet connaît (false).",
        "Whether the opening is for everybody, even where the agenda is not (true), or for those whom the practice knows"
        " (false).",
    ),
    "opening-mode": (
        "Comment on vient : on-site (au cabinet), home (à domicile) ou video.",
        "How one comes: on-site, home or video.",
    ),
    "opening-visibility": (
        "À qui les créneaux sont montrés (TRE_R314) : PUBLIC, PRO, SNP, CPTS.",
        "To whom the slots are shown (TRE_R314): PUBLIC, PRO, SNP, CPTS.",
    ),
    "opening-school-holidays": (
        "L'ouverture vaut seulement pendant les vacances scolaires du lieu (only), ou seulement en dehors (except).",
        "The opening holds in the school holidays of the place only (only), or only outside of them (except).",
    ),
    "slot-new-patients": (
        "Si le créneau est pour tous, même si l'agenda ne l'est pas (true), ou pour ceux que le cabinet connaît (false).",
        "Whether the slot is for everybody, even where the agenda is not (true), or for those whom the practice knows"
        " (false).",
    ),
    "reschedule-reason": (
        "Pourquoi le cabinet a déplacé ce rendez-vous.",
        "Why the practice has moved this appointment.",
    ),
}
