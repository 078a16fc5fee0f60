"""The codes that our own extensions take, by the extension's id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ExtensionCodes:
    """The codes of one extension, served as a CodeSystem and as a ValueSet under the extension's id."""

    name: str
    """of both, for machines"""
    title: str
    codes: Mapping[str, tuple[str, str]]
    """code → its meaning in French, in English"""
    context: str
    """type that has the extension"""


EXTENSION_CODES: Final[Mapping[str, ExtensionCodes]] = {
    "waiting-times": ExtensionCodes(
        "WaitingTimes",
        "moments de la journée qui conviennent",
        {
            "morning": ("Avant midi, à l'heure du lieu", "Before noon, by the clock of the place"),
            "afternoon": (
                "De midi à 18 h, à l'heure du lieu",
                "From noon to 18:00, by the clock of the place",
            ),
            "evening": ("À partir de 18 h, à l'heure du lieu", "From 18:00 on, by the clock of the place"),
        },
        "Appointment",
    ),
    "cancelled-by": ExtensionCodes(
        "CancelledBy",
        "qui a annulé",
        {
            "patient": ("Le patient, ou qui agit pour lui", "The patient, or who acts for them"),
            "provider": ("Le cabinet", "The practice"),
            "system": (
                "Le système, sans que personne l'ait demandé",
                "The system, with nobody asking for it",
            ),
        },
        "Appointment",
    ),
    "series-scope": ExtensionCodes(
        "SeriesScope",
        "étendue d'un changement dans une série",
        {
            "this": ("Ce rendez-vous", "This appointment"),
            "this-and-following": (
                "Ce rendez-vous et les suivants",
                "This appointment and those that follow",
            ),
            "all": ("Tous ceux de la série", "All of the series"),
        },
        "Appointment",
    ),
    "opening-mode": ExtensionCodes(
        "OpeningMode",
        "comment on vient",
        {
            "on-site": ("Au cabinet", "On site"),
            "home": ("À domicile", "At home"),
            "video": ("En téléconsultation", "By video"),
        },
        "Schedule",
    ),
    "opening-school-holidays": ExtensionCodes(
        "OpeningSchoolHolidays",
        "ouvertures et vacances scolaires",
        {
            "only": ("Pendant les vacances scolaires du lieu", "In the school holidays of the place"),
            "except": (
                "En dehors des vacances scolaires du lieu",
                "Outside the school holidays of the place",
            ),
        },
        "Schedule",
    ),
    "proxy-scope": ExtensionCodes(
        "ProxyScope",
        "ce qu'un représentant peut faire",
        {
            "see": ("Voir ce qui concerne la personne", "See what is about the person"),
            "book": (
                "Prendre, déplacer et annuler ses rendez-vous",
                "Book, move and cancel their appointments",
            ),
            "cancel": ("Annuler ses rendez-vous", "Cancel their appointments"),
            "register": ("Tenir à jour son dossier", "Keep their record up to date"),
        },
        "RelatedPerson",
    ),
    "message-delivery": ExtensionCodes(
        "DeliveryResult",
        "ce qu'il est advenu d'un envoi",
        {
            "accepted": ("Remis au transporteur", "Handed over to the carrier"),
            "deferred": ("Pas encore : il sera retenté", "Not yet: it is tried again"),
            "refused": ("Refusé", "Refused"),
            "interrupted": (
                "Interrompu : on ne sait s'il est parti",
                "Interrupted: whether it left is not known",
            ),
        },
        "Communication",
    ),
}
