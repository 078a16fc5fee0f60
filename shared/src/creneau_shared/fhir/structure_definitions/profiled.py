"""StructureDefinitions of the known profiles and extensions, from the same rows as their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from creneau_shared.fhir.definitions import type_definition
from creneau_shared.fhir.profiles.catalogue import Profile, profile_catalogue, profile_of
from creneau_shared.fhir.profiles.constraints import CONSTRAINTS
from creneau_shared.fhir.profiles.tree import HELD_BY
from creneau_shared.fhir.structure_definitions.base import FHIR_VERSION, base_definition
from creneau_shared.fhir.structure_definitions.openings import OPENINGS
from creneau_shared.fhir.structure_definitions.snapshot import Snapshot, path_of

Resource = dict[str, Any]

_OWN: Final = "Créneau"
_OWN_MEANINGS: Final[Mapping[str, tuple[str, str]]] = {
    "held-until": (
        "Jusqu'à quand le créneau est gardé pour ce rendez-vous en attente.",
        "Until when the slot is kept for this pending appointment.",
    ),
    "cancelable-until": (
        "Jusqu'à quand le patient qui lit ce rendez-vous peut l'annuler ; calculé à la lecture, jamais enregistré.",
        "Until when the patient who reads this appointment can cancel it; computed when it is read, never stored.",
    ),
    "reschedulable-until": (
        "Jusqu'à quand le patient qui lit ce rendez-vous peut le déplacer ; calculé à la lecture, jamais enregistré.",
        "Until when the patient who reads this appointment can move it; computed when it is read, never stored.",
    ),
    "waiting-since": (
        "Depuis quand cette demande est sur la liste d'attente ; sur un rendez-vous en attente : c'est une proposition"
        " qui lui est faite. Le serveur l'écrit.",
        "Since when this request has been on the waiting list; on a pending appointment: it is an offer made to it. The"
        " server writes it.",
    ),
    "waiting-agenda": (
        "Un agenda qui convient à cette demande en liste d'attente ; plusieurs : l'un d'eux.",
        "An agenda that suits this request on the waiting list; several: one of them.",
    ),
    "waiting-times": (
        "Un moment de la journée qui convient à cette demande en liste d'attente, à l'heure du lieu : morning (avant midi),"
        " afternoon (jusqu'à 18 h) ou evening ; plusieurs : l'un d'eux.",
        "A part of the day that suits this request on the waiting list, by the clock of the place: morning (before noon),"
        " afternoon (until 18:00) or evening; several: one of them.",
    ),
    "waiting-near": (
        "Autour de quel point : latitude|longitude|distance|km, comme l'écrit le paramètre de recherche near ; 10 km si"
        " aucune distance n'est dite, 100 km au plus.",
        "Around which point: latitude|longitude|distance|km, as the search parameter near writes it; 10 km without a"
        " distance, 100 km at most.",
    ),
    "double-booking-reason": (
        "Pourquoi le patient peut avoir un autre rendez-vous à la même heure ; dit par un cabinet, jamais par le patient.",
        "Why the patient may have another appointment at that time; said by a practice, never by the patient.",
    ),
    "cancelled-by": (
        "Qui a annulé ce rendez-vous : patient, provider (le cabinet) ou system ; le serveur l'écrit.",
        "Who cancelled this appointment: patient, provider (the practice) or system; the server writes it.",
    ),
    "replaced-by": (
        "Le rendez-vous pris à la place de celui-ci, qui a été annulé pour lui ; le serveur l'écrit.",
        "The appointment made in the place of this one, which was cancelled for it; the server writes it.",
    ),
    "overbooking-reason": (
        "Pourquoi le cabinet place ce rendez-vous sur un créneau déjà pris ; dit par le cabinet, jamais par le patient.",
        "Why the practice puts this appointment into a slot that is taken; said by the practice, never by the patient.",
    ),
    "counter-proposal": (
        "Une autre heure qu'un participant propose et que les autres n'ont pas acceptée ; le serveur l'écrit.",
        "Another time that a participant proposes and the others have not accepted; the server writes it.",
    ),
    "minimum-notice": (
        "Délai avant le début du créneau en deçà duquel un patient ne réserve plus.",
        "How long before the start of a slot a patient can last book it.",
    ),
    "booking-window": (
        "Combien de jours à l'avance les créneaux d'un jour s'ouvrent, et à quelle heure locale.",
        "How many days ahead the slots of a day open, and at which local time.",
    ),
    "age-limit": (
        "Âge des patients le jour du rendez-vous, bornes comprises.",
        "The age of the patients on the day of the appointment, both ends included.",
    ),
    "patient-appointments-max": (
        "Combien de rendez-vous à venir un patient peut avoir dans cet agenda.",
        "How many appointments to come a patient may have in this agenda.",
    ),
    "change-deadline": (
        "Délai avant le début en deçà duquel un patient n'annule ni ne déplace plus.",
        "How long before the start a patient can last cancel or move.",
    ),
    **OPENINGS,
    "schedule-change-deadline": (
        "Autre nom de change-deadline : délai avant le début en deçà duquel un patient n'annule ni ne déplace plus.",
        "Another name of change-deadline: how long before the start a patient can last cancel or move.",
    ),
    "schedule-confirmation-required": (
        "Ce qu'un patient réserve dans cet agenda attend l'accord du cabinet.",
        "What a patient books in this agenda waits for the practice's agreement.",
    ),
    "schedule-referral-required": (
        "Un patient qui réserve dans cet agenda dit sur quelle prescription il vient (Appointment.basedOn).",
        "A patient who books in this agenda says on which referral they come (Appointment.basedOn).",
    ),
    "schedule-known-patients-only": (
        "Cet agenda n'accueille en ligne que les patients déjà venus au cabinet.",
        "This agenda takes online only patients who have been at the practice before.",
    ),
    "schedule-capacity": (
        "Combien de patients ont une place dans chaque créneau de cet agenda.",
        "How many patients have a place in each slot of this agenda.",
    ),
    "schedule-parts": (
        "Si les patients peuvent prendre une part d'un créneau ; sans réponse, d'un créneau de deux heures ou plus.",
        "Whether patients can take a part of a slot; when it is not said, of a slot of two hours or more.",
    ),
    "schedule-adjacent-slots-max": (
        "De combien de créneaux qui se suivent un patient peut faire un rendez-vous.",
        "Of how many slots that follow each other a patient can make one appointment.",
    ),
    "slot-capacity": (
        "Combien de patients ont une place dans ce créneau, quoi que dise son agenda.",
        "How many patients have a place in this slot, whatever its agenda says.",
    ),
    "slot-places-left": (
        "Combien de places il reste dans ce créneau ; le serveur le dit, et lui seul.",
        "How many places are left in this slot; the server says so, and nobody else.",
    ),
    "appointment-with-gap": (
        "Le cabinet veut du temps entre les créneaux de ce rendez-vous ; dit par un cabinet, jamais par le patient.",
        "The practice wants time between the slots of this appointment; said by a practice, never by the patient.",
    ),
    "series-scope": (
        "Avec une annulation : this, this-and-following ou all de sa série ; jamais enregistré.",
        "With a cancellation: this, this-and-following or all of its series; never stored.",
    ),
    "schedule-synchronised-at": (
        "Quand le logiciel de l'agenda a dit pour la dernière fois ce qui s'y trouve.",
        "When the agenda's software last said what stands in it.",
    ),
    "schedule-stale-after": (
        "Combien de temps après une synchronisation l'agenda est encore cru ; au-delà, il n'est plus proposé.",
        "How long after a synchronisation the agenda is still believed; beyond it is not offered any more.",
    ),
    "bookable": (
        "Si un patient peut réserver ce créneau maintenant ; calculé à la recherche, jamais enregistré.",
        "Whether a patient can book this slot now; computed when searched by, never stored.",
    ),
    "bookable-by": (
        "Patient dont l'âge convient à l'agenda du créneau ; calculé à la recherche, jamais enregistré.",
        "A patient whose age suits the slot's agenda; computed when searched by, never stored.",
    ),
    "time-zone": (
        "Fuseau horaire (base IANA) du lieu ou de l'agenda.",
        "The time zone (IANA database) of the place or the agenda.",
    ),
    "message-delivery": (
        "Un envoi de ce message : quand, à quelle adresse, sous quel objet, et ce qu'il en est advenu.",
        "A try of this message: when, to which address, under which subject, and what became of it.",
    ),
    "proxy-scope": (
        "Ce que cette personne peut faire en ligne pour le patient : voir, prendre ou annuler ses rendez-vous,"
        " tenir à jour son dossier.",
        "What this person may do online for the patient: see, book or cancel their appointments, keep"
        " their record up to date.",
    ),
    "proxy-until-majority": (
        "La fin de la période est la majorité du patient : le serveur l'écrit, et la déplace quand la date de naissance"
        " est corrigée.",
        "The period ends as the patient comes of age: the server writes it, and moves it when the birth date is"
        " corrected.",
    ),
    "accessibility": (
        "Ce que ce lieu ou cette offre permet : wheelchair (fauteuil roulant) et d'autres codes du cabinet ; les recherches"
        " trouvent par ce code ($find-care, $soonest).",
        "What this place or offer allows for: wheelchair, and other codes of the practice's; searches find by the code"
        " ($find-care, $soonest).",
    ),
    "new-patients": (
        "Si ce professionnel, cette offre ou cet agenda accueille de nouveaux patients ; dit à qui cherche, ne refuse"
        " personne (schedule-known-patients-only refuse).",
        "Whether this professional, offer or agenda takes new patients; tells those who search, refuses nobody"
        " (schedule-known-patients-only does).",
    ),
    "proxy-accepted-on": (
        "Quand un compte a repris cette représentation par son invitation ; le serveur l'écrit.",
        "When an account took this up by its invitation; the server writes it.",
    ),
}
"""The meanings of our own extensions, by their id."""


@cache
def profile_definition(url: str) -> Resource:
    """The StructureDefinition of a known profile; not to be changed."""
    profile = profile_catalogue()[url]
    resource: Resource = {
        "resourceType": "StructureDefinition",
        "id": profile.id,
        "url": profile.url,
        "version": profile.version,
        "name": profile.name,
        "status": "active",
        "publisher": profile.publisher,
        "description": _description(profile),
        "fhirVersion": FHIR_VERSION,
        "kind": "resource" if type_definition(profile.type).is_resource else "complex-type",
        "abstract": False,
    }
    if profile.context:
        resource["context"] = [dict(context) for context in profile.context]
    resource |= {"type": profile.type, "baseDefinition": profile.base, "derivation": "constraint"}
    differential = [_change(element) for element in profile.elements] or [
        {"id": profile.type, "path": profile.type}
    ]
    resource["snapshot"] = {"element": _snapshot(profile, differential)}
    resource["differential"] = {"element": differential}
    return resource


def _description(profile: Profile) -> str:
    if profile.publisher == _OWN:
        fr, en = _OWN_MEANINGS[profile.id]
        return f"{fr}\n\n{en}"
    return (
        f"Ce que {profile.name} {profile.version} exige et que ce serveur vérifie. La définition qui fait foi est celle de"
        f" {profile.publisher}.\n\nWhat {profile.name} {profile.version} demands and this server checks. The definition"
        f" that counts is the one of {profile.publisher}."
    )


def _change(row: Any) -> Resource:
    """A row as an element of the differential."""
    element: Resource = {"id": row["id"], "path": path_of(row["id"])}
    last = row["id"].rpartition(".")[2]
    if ":" in last:
        element["sliceName"] = last.partition(":")[2]
    element |= {name: value for name, value in row.items() if name not in ("id", "constraint", HELD_BY)}
    if "constraint" in row:
        element["constraint"] = [_constraint(rule) for rule in row["constraint"]]
    return element


def _constraint(rule: Any) -> Resource:
    stated = CONSTRAINTS[rule["key"]]
    return {
        "key": rule["key"],
        "severity": rule["severity"],
        "human": f"{stated.fr} / {stated.en}",
        "expression": rule["expression"],
    }


def _snapshot(profile: Profile, differential: Sequence[Resource]) -> list[Resource]:
    base = profile_of(profile.base)
    inherited = profile_definition(base.url) if base else base_definition(profile.type)
    snapshot = Snapshot(inherited["snapshot"]["element"], _elements_of)
    for change in differential:
        snapshot.lay_over(change)
    return snapshot.elements


def _elements_of(type_: Resource) -> Sequence[Resource]:
    """The elements below an element of this type: those of its profile if that is known, else the type's own."""
    for canonical in type_.get("profile", ()):
        if (profile := profile_of(canonical)) is not None:
            return list(profile_definition(profile.url)["snapshot"]["element"])
    return list(base_definition(type_["code"])["snapshot"]["element"])
