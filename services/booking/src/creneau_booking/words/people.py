"""Words of refusals: patients, their representatives, what their account may state, and their national identity."""

from __future__ import annotations

from creneau_booking.domain.own_words import OWN
from creneau_booking.domain.refusals.people import (
    AccountOfTheirOwn,
    AddressesUnreachable,
    BornLater,
    GuardianAtPractice,
    IdentityRegistered,
    InsWrong,
    KnownByRequest,
    MinorOnParents,
    OfficialInsUnverified,
    ProxyNotTheirs,
    StatedByStaff,
)
from creneau_shared.errors import Conflict, CreneauError, Forbidden, Issue, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()
_OF_THEIRS = {"record": "Patient", "proxy": "RelatedPerson.patient", "link": "Patient.link"}


@WORDS.says(ProxyNotTheirs)
def _(_: ProxyNotTheirs) -> CreneauError:
    return Forbidden(
        "Seuls la personne elle-même, ses parents ou son représentant légal décident de qui la représente. Pour ne"
        " plus la représenter vous-même : $renounce.",
        "Only the person, their parents or their legal representative decide who represents them. To represent"
        " them no longer yourself: $renounce.",
        expression="RelatedPerson",
        details_code="proxy-not-yours",
    )


@WORDS.says(AccountOfTheirOwn)
def _(_: AccountOfTheirOwn) -> CreneauError:
    return Forbidden(
        "Cette personne a son propre compte : elle seule en décide. Si elle n'y accède plus, adressez-vous à l'exploitant du"
        " service.",
        "This person has an account of their own: only they decide about it. If they have lost access to it, ask the operator"
        " of the service.",
        expression="RelatedPerson.relationship",
        details_code="proxy-oneself",
    )


@WORDS.says(GuardianAtPractice)
def _(_: GuardianAtPractice) -> CreneauError:
    return Forbidden(
        "Une mesure de protection se déclare, se change et se termine au cabinet.",
        "A protective measure is stated, changed and ended at the practice.",
        expression="RelatedPerson.relationship",
        details_code="proxy-guardian",
    )


@WORDS.says(MinorOnParents)
def _(_: MinorOnParents) -> CreneauError:
    return Forbidden(
        "Un mineur ne décide pas de qui sont ses parents ; un rendez-vous peut leur être caché"
        " (HIDDEN-FROM-PROXIES).",
        "A minor does not decide who their parents are; an appointment can be hidden from them"
        " (HIDDEN-FROM-PROXIES).",
        expression="RelatedPerson.relationship",
        details_code="proxy-parent",
    )


@WORDS.says(KnownByRequest)
def _(r: KnownByRequest) -> CreneauError:
    return Forbidden(
        "Vous ne connaissez cette personne que par sa demande : vous pouvez lire sa fiche et répondre à la demande. Dès qu'un"
        " rendez-vous est pris chez vous, vous pouvez modifier sa fiche et déclarer qui la représente.",
        "You know this person by their request only: you can read their record and answer the request. As soon as an"
        " appointment with you is booked, you can change their record and state who represents them.",
        expression=_OF_THEIRS[r.where],
        details_code="known-by-request",
    )


@WORDS.says(StatedByStaff)
def _(r: StatedByStaff) -> CreneauError:
    return Forbidden(issues=[_stated_by_staff(element) for element in r.elements])


@WORDS.says(AddressesUnreachable)
def _(r: AddressesUnreachable) -> CreneauError:
    said = {"email": _no_email_address, "phone": _no_phone_number}
    return Unprocessable(issues=[said[kind](index) for index, kind in r.places])


@WORDS.says(InsWrong)
def _(r: InsWrong) -> CreneauError:
    said = {"form": _no_ins, "key": _wrong_key}
    return Unprocessable(issues=[said[fault](index) for index, fault in r.places])


@WORDS.says(OfficialInsUnverified)
def _(r: OfficialInsUnverified) -> CreneauError:
    return Unprocessable(
        "Une INS n'est officielle (use: official) que d'une identité validée (identityStatus VALI) ; validez l'identité, ou"
        " enregistrez l'INS autrement.",
        "An INS is official (use: official) only of a validated identity (identityStatus VALI); validate the identity, or"
        " register the INS otherwise.",
        code="business-rule",
        expression=f"Patient.identifier[{r.index}].use",
        details_code="ins-unverified",
    )


@WORDS.says(IdentityRegistered)
def _(r: IdentityRegistered) -> CreneauError:
    if r.holder is not None:
        fr = "Cette identité (INS) est déjà enregistrée dans une autre fiche. Utilisez cette fiche."
        en = "This identity (INS) is registered already in another record. Use that record."
    else:
        fr = (
            "Cette identité (INS) est déjà enregistrée par un autre cabinet. Enregistrez la personne sans INS, ou "
            "demandez à l'exploitant du service de vous rattacher sa fiche."
        )
        en = (
            "This identity (INS) is registered already by another practice. Register the person without INS, or ask "
            "the operator of the service to attach their record to you."
        )
    return Conflict(
        fr,
        en,
        code="duplicate",
        expression="Patient.identifier",
        details_code="ins-registered-already",
        diagnostics=f"Patient/{r.holder}" if r.holder is not None else None,
    )


def _stated_by_staff(element: str) -> Issue:
    if element in OWN:
        fr, en = "a été vérifié par un professionnel", "was verified by a professional"
    else:
        fr, en = "est établi par un cabinet ou un professionnel", "is stated by a practice or a professional"
    return Issue(
        code="forbidden",
        fr=f"Patient.{element} {fr} : adressez-vous à lui pour le faire corriger. Vous pouvez changer vous-même : "
        f"{', '.join(OWN)}.",
        en=f"Patient.{element} {en}: ask them to correct it. What you can change yourself: {', '.join(OWN)}.",
        expression=(f"Patient.{element}",),
        details_code="stated-by-staff",
    )


@WORDS.says(BornLater)
def _(_: BornLater) -> CreneauError:
    return Unprocessable(
        "La date de naissance est dans le futur : corrigez-la.",
        "The birth date is in the future: correct it.",
        expression="Patient.birthDate",
        details_code="birth-date-to-come",
    )


def _no_phone_number(index: int) -> Issue:
    return Issue(
        code="value",
        fr="Ce n'est pas un numéro de téléphone. Corrigez-le, par exemple 06 39 98 00 01, ou +32 … avec l'indicatif du pays.",
        en="This is no telephone number. Correct it, for example 06 39 98 00 01, or +32 … with the code of the country.",
        expression=(f"Patient.telecom[{index}].value",),
        details_code="no-phone-number",
    )


def _no_email_address(index: int) -> Issue:
    return Issue(
        code="value",
        fr="Aucun message ne peut arriver à cette adresse électronique. Corrigez-la, par exemple camille@exemple.fr "
        "(sans accent avant le signe @).",
        en="No message can arrive at this e-mail address. Correct it, for example camille@exemple.fr (without accents "
        "before the @ sign).",
        expression=(f"Patient.telecom[{index}].value",),
        details_code="no-email-address",
    )


def _no_ins(index: int) -> Issue:
    return Issue(
        code="value",
        fr="Ce n'est pas un matricule INS : 13 caractères (des chiffres ; 2A ou 2B pour la Corse), ou 15 avec la clé. Reprenez-le"
        " tel que l'INSi le donne.",
        en="This is no INS: 13 characters (digits; 2A or 2B for Corsica), or 15 with the key. Copy it as INSi gives it.",
        expression=(f"Patient.identifier[{index}].value",),
        details_code="identifier-key",
    )


def _wrong_key(index: int) -> Issue:
    return Issue(
        code="value",
        fr="La clé de ce matricule INS (ses deux derniers chiffres) n'est pas celle du numéro : vérifiez tous ses chiffres.",
        en="The key of this INS (its last two digits) is not that of the number: check all its digits.",
        expression=(f"Patient.identifier[{index}].value",),
        details_code="identifier-key",
    )
