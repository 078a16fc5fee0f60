"""Who is registered, what is known of them, and to whom."""

from __future__ import annotations

from creneau_booking.domain.refusals.registered import (
    AppointmentNotSeen,
    AppointmentUnknown,
    BirthDateSettled,
    OtherPerson,
    PatientErased,
    PatientsNamedIn,
    PatientsUnavailable,
    PatientsUnclear,
    UnknownPatients,
    UnknownTarget,
)
from creneau_shared.errors import Conflict, CreneauError, Forbidden, Gone, Issue, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()
_NAMED_IN: dict[PatientsNamedIn, str] = {
    "appointment": "Appointment.participant",
    "answer": "AppointmentResponse.actor",
    "proxy": "RelatedPerson.patient",
    "provenance": "Provenance",
}


@WORDS.says(UnknownPatients)
def _(r: UnknownPatients) -> CreneauError:
    names = _patients(r.ids)
    fr, en = ("n'existe pas", "does not exist")
    if r.to_practice:
        fr, en = ("n'est pas connu de votre cabinet", "is not known to your practice")
    return Unprocessable(
        f"{names} {fr} : inscrivez d'abord cette personne (POST Patient).",
        f"{names} {en}: register that person first (POST Patient).",
        code="not-found",
        expression=_NAMED_IN[r.named_in],
        details_code="unknown-patient",
    )


@WORDS.says(PatientsUnclear)
def _(r: PatientsUnclear) -> CreneauError:
    return Unprocessable(issues=[_unclear(index, said) for index, said in r.said])


def _unclear(index: int, said: str) -> Issue:
    return Issue(
        "not-found",
        f"Ce patient n'est pas connu ici : « {said} ». Inscrivez-le (POST Patient), puis nommez-le Patient/[id].",
        f"This patient is not known here: “{said}”. Register them (POST Patient), then name them Patient/[id].",
        (f"Appointment.participant[{index}].actor",),
        details_code="unknown-patient",
    )


@WORDS.says(PatientsUnavailable)
def _(r: PatientsUnavailable) -> CreneauError:
    names = _patients(r.ids)
    return Unprocessable(
        f"Aucun rendez-vous ne peut être pris pour {names} : dossier supprimé, inactif, remplacé par un autre ou"
        " d'une personne décédée.",
        f"No appointment can be booked for {names}: deleted, inactive, replaced by another or deceased.",
        expression="Appointment.participant",
        details_code="patient-unavailable",
    )


@WORDS.says(PatientErased)
def _(r: PatientErased) -> CreneauError:
    return Gone(
        f"Patient/{r.id} a été effacé à la demande de la personne : ce numéro ne sert plus. Créez un nouveau"
        " Patient.",
        f"Patient/{r.id} was erased at the person's request: this id is used no more. Create a new Patient.",
        details_code="patient-erased",
        headers={"ETag": f'W/"{r.version}"'},
    )


@WORDS.says(OtherPerson)
def _(r: OtherPerson) -> CreneauError:
    return Conflict(
        f"Patient/{r.id} était une autre personne : un numéro n'est jamais réattribué. Créez un nouveau Patient.",
        f"Patient/{r.id} was somebody else: an id is never given to another person. Create a new Patient.",
        expression="Patient.id",
        details_code="id-of-another-person",
    )


@WORDS.says(BirthDateSettled)
def _(_: BirthDateSettled) -> CreneauError:
    return Forbidden(
        "Un parent agit pour cette personne jusqu'à sa majorité : seul un cabinet corrige sa date de naissance.",
        "A parent acts for this person until their majority: only a practice corrects their birth date.",
        expression="Patient.birthDate",
        details_code="proxy-birth-date",
    )


@WORDS.says(AppointmentUnknown)
def _(_: AppointmentUnknown) -> CreneauError:
    return Unprocessable(
        "Ce rendez-vous n'existe pas.",
        "This appointment does not exist.",
        code="not-found",
        expression="AppointmentResponse.appointment",
        details_code="unknown-appointment",
    )


@WORDS.says(AppointmentNotSeen)
def _(r: AppointmentNotSeen) -> CreneauError:
    what = r.reference or "AppointmentResponse.appointment"
    return Unprocessable(
        f"{what} n'existe pas.",
        f"{what} does not exist.",
        code="not-found",
        expression="AppointmentResponse.appointment",
        details_code="unknown-appointment",
    )


@WORDS.says(UnknownTarget)
def _(r: UnknownTarget) -> CreneauError:
    return Unprocessable(
        f"{r.resource_type}/{r.id} n'existe pas.",
        f"{r.resource_type}/{r.id} does not exist.",
        code="not-found",
        expression=f"Provenance.target[{r.index}]",
        details_code="unknown-target",
    )


def _patients(ids: tuple[str, ...]) -> str:
    return ", ".join(f"Patient/{id_}" for id_ in ids)
