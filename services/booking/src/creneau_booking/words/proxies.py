"""Words of refusals: how representatives are stated, and what they may do in another person's name."""

from __future__ import annotations

from creneau_booking.domain.refusals.proxies import (
    HiddenLate,
    HidingNotTheirs,
    MayOnlyCancel,
    NoPatientNamed,
    ProxyEnded,
    ProxyOfAnother,
    UnknownProxy,
    UnknownProxyScope,
)
from creneau_shared.errors import CreneauError, Forbidden, Unprocessable
from creneau_shared.fhir.rest.reading import unknown_resource
from creneau_shared.words import Theme

WORDS = Theme()


@WORDS.says(NoPatientNamed)
def _(_: NoPatientNamed) -> CreneauError:
    return Unprocessable(
        "RelatedPerson.patient désigne un Patient d'ici (Patient/<id>).",
        "RelatedPerson.patient names a Patient of this base (Patient/<id>).",
        code="value",
        expression="RelatedPerson.patient",
        details_code="proxy",
    )


@WORDS.says(UnknownProxyScope)
def _(r: UnknownProxyScope) -> CreneauError:
    return Unprocessable(
        f"proxy-scope vaut « {r.scope} » ; valeurs possibles : {', '.join(r.scopes)}.",
        f"proxy-scope is “{r.scope}”; possible values: {', '.join(r.scopes)}.",
        code="value",
        expression="RelatedPerson.extension",
        details_code="proxy",
    )


@WORDS.says(UnknownProxy)
def _(r: UnknownProxy) -> CreneauError:
    return unknown_resource("RelatedPerson", r.id)


@WORDS.says(ProxyEnded)
def _(_: ProxyEnded) -> CreneauError:
    return Unprocessable(
        "Cette représentation est terminée : personne ne peut y être invité.",
        "This statement has ended: nobody can be invited to it.",
        expression="RelatedPerson.period",
        details_code="proxy-ended",
    )


@WORDS.says(ProxyOfAnother)
def _(_: ProxyOfAnother) -> CreneauError:
    return Forbidden(
        "Un RelatedPerson ne change pas de Patient : supprimez-le et créez-en un autre.",
        "A RelatedPerson does not change its Patient: delete it and create another one.",
        expression="RelatedPerson.patient",
        details_code="other-patient",
    )


@WORDS.says(HidingNotTheirs)
def _(_: HidingNotTheirs) -> CreneauError:
    return Forbidden(
        "Seule la personne elle-même, ou son cabinet, peut cacher un rendez-vous à ceux qui la représentent.",
        "Only the person, or their practice, can hide an appointment from those who represent them.",
        expression="Appointment.meta.security",
        details_code="hidden-not-yours",
    )


@WORDS.says(HiddenLate)
def _(_: HiddenLate) -> CreneauError:
    return Unprocessable(
        "Un rendez-vous se cache quand il est pris : celui-ci a pu être vu déjà. Annulez-le et prenez-en un autre.",
        "An appointment is hidden as it is taken: this one may have been seen already. Cancel it and take another.",
        expression="Appointment.meta.security",
        details_code="hidden-late",
    )


@WORDS.says(MayOnlyCancel)
def _(_: MayOnlyCancel) -> CreneauError:
    return Forbidden(
        "Vous pouvez annuler les rendez-vous de cette personne, et rien y changer d'autre.",
        "You may cancel this person's appointments, and change nothing else in them.",
        expression="Appointment",
        details_code="proxy-cancels-only",
    )
