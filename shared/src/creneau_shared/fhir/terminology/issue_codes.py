"""Our own codes in OperationOutcome.issue.details, with what they mean: French, then English.

Beside these, a rule that FHIR names (`app-2`) is its own code, and so is each primitive type (`type-date`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ISSUE_CODES: Final[Mapping[str, tuple[str, str]]] = {
    # Structure of a resource
    "unknown-element": ("Élément inconnu de FHIR R4", "Element unknown to FHIR R4"),
    "missing-element": ("Élément obligatoire absent", "Required element missing"),
    "null": ("Élément à null", "Element that is null"),
    "empty": ("Élément vide", "Empty element"),
    "json-type": ("Type JSON inattendu", "Unexpected JSON type"),
    "required-binding": ("Code hors de la liste obligatoire", "Code outside the required list"),
    "choice": ("Plusieurs types pour une seule valeur", "Several types for one value"),
    "primitive-arrays": (
        "Listes de valeurs et d'extensions inégales",
        "Unequal lists of values and extensions",
    ),
    "resource-type": ("Type de ressource absent ou inattendu", "Resource type missing or unexpected"),
    "modifier-extension": ("Extension modificatrice non comprise", "Modifier extension not understood"),
    "implicit-rules": ("Règles implicites non comprises", "Implicit rules not understood"),
    "reference-form": ("Référence mal formée", "Malformed reference"),
    "reference-target": ("Référence vers un type non permis", "Reference to a type that is not allowed"),
    "nesting": ("Imbrication trop profonde", "Nesting too deep"),
    "more-issues": ("D'autres problèmes ne sont pas listés", "Further problems are not listed"),
    "profile": ("Règle de profil non respectée", "Rule of a profile not met"),
    "identifier-key": ("Clé d'identifiant national fausse", "Wrong key of a national identifier"),
    # Requests
    "cursor": ("Lien de page inutilisable", "Unusable page link"),
    "type-not-held": ("Type que ce service ne détient pas", "Type that this service does not hold"),
    "includes-cut": ("Ressources liées incomplètes", "Related resources incomplete"),
    "patch-malformed": ("Correctif illisible", "Unreadable patch"),
    "patch-inapplicable": ("Correctif inapplicable", "Patch that does not apply"),
    "patch-identity": ("Identité changée par un correctif", "Identity changed by a patch"),
    "window-order": ("Période cherchée à l'envers", "Searched period that ends before it starts"),
    "window-too-long": ("Période cherchée trop longue", "Searched period too long"),
    # Slots and agendas
    "slot-taken": ("Créneau déjà pris", "Slot already taken"),
    "slot-held": ("Créneau en cours de réservation", "Slot being booked by someone else"),
    "slot-claimed": ("Créneau lié à un rendez-vous", "Slot tied to an appointment"),
    "slot-order": ("Créneau qui finit avant de commencer", "Slot that ends before it starts"),
    "slot-fraction": ("Créneau à une fraction de seconde", "Slot at a fraction of a second"),
    "slot-in-the-past": ("Créneau passé", "Slot in the past"),
    "slots-not-adjacent": ("Créneaux qui ne se suivent pas", "Slots that do not follow each other"),
    "unknown-slot": ("Créneau inconnu", "Unknown slot"),
    "no-slot": ("Aucun créneau choisi", "No slot chosen"),
    "unknown-schedule": ("Agenda inconnu", "Unknown agenda"),
    "schedule-inactive": ("Agenda fermé à la réservation", "Agenda closed for booking"),
    "outside-horizon": ("Hors de la période de l'agenda", "Outside the agenda's period"),
    # Appointments
    "no-time": ("Rendez-vous sans horaire", "Appointment without a time"),
    "appointment-order": (
        "Rendez-vous qui finit avant de commencer",
        "Appointment that ends before it starts",
    ),
    "outside-slot": ("Rendez-vous qui déborde de ses créneaux", "Appointment that reaches beyond its slots"),
    "one-patient": ("Un patient, et un seul", "One patient and only one"),
    "other-patient": ("Changement de patient", "Change of patient"),
    "patient-unavailable": (
        "Patient qui ne peut avoir de rendez-vous",
        "Patient who cannot have appointments",
    ),
    "actor-occupied": ("Personne ou matériel déjà occupé", "Person or device already occupied"),
    "illegal-transition": ("Changement de statut impossible", "Impossible change of status"),
    "not-yours": (
        "Ressource d'une autre personne ou d'un autre cabinet",
        "Another person's or practice's resource",
    ),
    "no-practice": ("Jeton qui ne dit pour quel cabinet", "Token that does not say for which practice"),
    "unknown-actor": ("Acteur inconnu de l'annuaire", "Actor unknown to the directory"),
    "unknown-patient": ("Patient inconnu", "Unknown patient"),
    "unknown-appointment": ("Rendez-vous inconnu", "Unknown appointment"),
    "unknown-target": ("Cible inconnue", "Unknown target"),
    "time-zone": ("Fuseau horaire inconnu", "Unknown time zone"),
    "proxy": ("Représentation illisible", "Unreadable representation"),
    "status-not-yours": ("Statut que seul le cabinet peut donner", "Status that only the practice can give"),
    "use-reschedule": ("Déplacement à demander par $reschedule", "Move to be asked for by $reschedule"),
    "not-movable": ("Rendez-vous qui ne peut être déplacé", "Appointment that cannot be moved"),
    "already-started": ("Rendez-vous déjà commencé", "Appointment already started"),
    "not-started": ("Rendez-vous pas encore commencé", "Appointment not started yet"),
    "not-a-hold": ("Pas de mise en attente à prolonger", "No hold to extend"),
    "hold-not-extensible": ("Mise en attente déjà prolongée", "Hold extended already"),
    "access-rule": ("Règle d'accès illisible", "Unreadable access rule"),
    "not-open-yet": ("Créneau pas encore ouvert à la réservation", "Slot not open for booking yet"),
    "notice-too-short": ("Trop tard pour réserver en ligne", "Too late to book online"),
    "birthdate-unknown": ("Date de naissance à indiquer", "Date of birth to be given"),
    "age-outside-limit": ("Âge que l'agenda ne reçoit pas", "Age that the agenda does not take"),
    "too-many-appointments": ("Trop de rendez-vous à venir", "Too many appointments to come"),
    "change-too-late": ("Trop tard pour annuler ou déplacer en ligne", "Too late to cancel or move online"),
    "too-many-appointments-to-come": (
        "Trop de rendez-vous à venir en tout",
        "Too many appointments to come in all",
    ),
    "too-many-in-specialty": (
        "Trop de rendez-vous à venir dans la spécialité",
        "Too many appointments to come in the speciality",
    ),
    "too-many-bookings": ("Trop de réservations en une heure", "Too many bookings within an hour"),
    "too-many-holds-begun": (
        "Trop de mises en attente en une heure",
        "Too many holds begun within an hour",
    ),
    "too-many-cancellations": ("Trop d'annulations en un jour", "Too many cancellations within a day"),
    "too-many-requests": ("Trop de demandes en attente", "Too many requests waiting"),
    "too-many-patients": ("Trop de personnes enregistrées", "Too many people registered"),
    "participant-not-yours": (
        "Participant que le patient ne peut amener",
        "Participant whom the patient cannot bring",
    ),
    "actor-not-yours": ("Acteur d'une autre organisation", "Actor of another organization"),
    "element-not-yours": ("Élément que seul le cabinet peut dire", "Element that only the practice can say"),
    "waits-for-practice": ("En attente de l'accord du cabinet", "Waiting for the practice's agreement"),
    "hold-not-yours": ("Mise en attente d'un autre compte", "Hold of another account"),
    "hold-expired": ("Mise en attente terminée", "Hold that has run out"),
    "too-many-holds": ("Trop de créneaux en attente", "Too many slots held"),
    # Terminology
    "unknown-code-system": ("Système de codes inconnu ici", "Code system not known here"),
    "unknown-value-set": ("Jeu de valeurs inconnu ici", "Value set not known here"),
    "unknown-code": ("Code inconnu du système", "Code unknown to the system"),
}
