"""The answer of `$find-care` beside its matches: understood and ignored words, widening, facets, whom to call first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from creneau_directory.domain.care.places import Place, gazetteer
from creneau_directory.domain.care.plan import Step, Wanted
from creneau_directory.domain.care.reading.facts import Understood
from creneau_directory.domain.care.vocabulary import vocabulary
from creneau_directory.storage.care_search import FAR_KM, WHAT, WHERE, WHO, Found
from creneau_shared.errors import Issue
from creneau_shared.fhir.outcome import Language, operation_outcome
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.terminology import display

_NOS = "https://mos.esante.gouv.fr/NOS/{0}/FHIR/{1}"
_TABLES = {
    "G15": "TRE_G15-ProfessionSante",
    "R38": "TRE_R38-SpecialiteOrdinale",
    "R95": "TRE_R95-UsagerTitre",
    "R94": "TRE_R94-ProfessionSocial",
    "R39": "TRE_R39-Competence",
    "R40": "TRE_R40-CompetenceExclusive",
    "R42": "TRE_R42-DESCnonQualifiant",
    "R43": "TRE_R43-CapaciteSavoirFaire",
    "R211": "TRE_R211-ActiviteOperationnelle",
}
_SYSTEMS = {
    "sector": _NOS.format(
        "TRE_R282-CNAMAmeliSecteurConventionnement", "TRE-R282-CNAMAmeliSecteurConventionnement"
    ),
    "language": "urn:ietf:bcp:47",
    "mode": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    "commune": _NOS.format("TRE_R13-CommuneOM", "TRE-R13-CommuneOM"),
}
_MODES = {
    "AMB": ("Sur place", "On site"),
    "VR": ("Téléconsultation", "By video"),
    "HH": ("À domicile", "At home"),
}
WHEN = {
    "night": ("la nuit", "at night"),
    "sunday": ("le dimanche", "on Sunday"),
    "holiday": ("un jour férié", "on a holiday"),
    "saturday": ("le samedi", "on Saturday"),
    "weekend": ("le week-end", "at the weekend"),
    "evening": ("le soir", "in the evening"),
    "morning": ("le matin", "in the morning"),
    "afternoon": ("l'après-midi", "in the afternoon"),
    "noon": ("à midi", "at noon"),
    "duty": ("de garde", "on duty"),
    "today": ("aujourd'hui", "today"),
    "tomorrow": ("demain", "tomorrow"),
    "now": ("maintenant", "now"),
    "soon": ("bientôt", "soon"),
    "after-tomorrow": ("après-demain", "the day after tomorrow"),
    "monday": ("le lundi", "on Monday"),
    "tuesday": ("le mardi", "on Tuesday"),
    "wednesday": ("le mercredi", "on Wednesday"),
    "thursday": ("le jeudi", "on Thursday"),
    "friday": ("le vendredi", "on Friday"),
    "walk-in": ("sans rendez-vous", "without an appointment"),
}
_OUT_OF_HOURS = frozenset({"night", "sunday", "holiday", "weekend", "duty"})
FACET_VALUES_MAX = 20
HOMONYM = 0.2
"""least share of its inhabitants that another commune of the same name has, to be offered as `other-place`"""

_CALL: Mapping[str, tuple[str, str]] = {
    "15": (
        "Ces mots peuvent dire une urgence vitale. Appelez tout de suite le 15 (SAMU) ou le 112, ou le 114 par SMS si vous"
        " ne pouvez pas parler ou entendre. N'attendez pas un rendez-vous.",
        "These words may tell of a life-threatening emergency. Call 15 (SAMU) or 112 now, or text 114 if you cannot speak"
        " or hear. Do not wait for an appointment.",
    ),
    "3114": (
        "Si vous pensez au suicide, ou vous inquiétez pour quelqu'un : appelez le 3114, gratuit, jour et nuit. En danger"
        " immédiat, appelez le 15 ou le 112.",
        "If you think of suicide, or worry about somebody: call 3114, free, day and night. In immediate danger, call 15 or"
        " 112.",
    ),
    "3919": (
        "Si quelqu'un vous fait violence, ou à une femme que vous connaissez : appelez le 3919, gratuit, anonyme, jour et"
        " nuit ; l'appel n'apparaît pas sur les factures. En danger immédiat, appelez le 17 ou le 112, ou le 114 par SMS.",
        "If somebody is violent to you, or to a woman whom you know: call 3919, free, anonymous, day and night; the call is"
        " on no bill. In immediate danger, call 17 or 112, or text 114.",
    ),
    "119": (
        "Si un enfant est en danger ou risque de l'être : appelez le 119, gratuit, jour et nuit ; l'appel n'apparaît pas sur"
        " les factures. En danger immédiat, appelez le 17 ou le 112, ou le 114 par SMS.",
        "If a child is in danger, or may be: call 119, free, day and night; the call is on no bill. In immediate danger,"
        " call 17 or 112, or text 114.",
    ),
}


def understood(
    wanted: Wanted, step: Step, found: Found, language: Language, *, explain: bool, sort_by_distance: bool
) -> Resource:
    """The Parameters that explain the answer."""
    intent = wanted.intent
    parameters: list[Resource] = [_understood(one, language) for one in intent.understood]
    parameters += _places(wanted)
    parameters += [{"name": "ignored", "valueString": word} for word in intent.ignored]
    if step.told != "exact" and found.hits:
        parameters.append({"name": "widened", "valueCode": step.told})
        if step.km is not None:
            parameters.append({"name": "radius", "valueQuantity": _km(step.km)})
    parameters += [
        {
            "name": "facet",
            "part": [{"name": "name", "valueCode": name}, *_facet_values(name, values, language)],
        }
        for name, values in found.facets.items()
        if values
    ]
    if not found.whole:
        parameters.append({"name": "compared", "valueInteger": found.total})
    if explain:
        parameters.append(_weights(sort_by_distance))
        parameters += [_explained(found, at) for at in range(len(found.hits))]
    return (
        {"resourceType": "Parameters", "parameter": parameters}
        if parameters
        else {"resourceType": "Parameters"}
    )


def _places(wanted: Wanted) -> Iterator[Resource]:
    """Yields the place that was chosen, and communes of the same name that are not much smaller."""
    place = wanted.intent.place
    if place is None:
        return
    yield {"name": "place", "part": _place_parts(place)}
    if place.kind == "commune":
        for other in gazetteer().of_name(place.name):
            if other.insee != place.key[2:] and other.population >= HOMONYM * max(1, place.population):
                yield {"name": "other-place", "part": _place_parts(other.place)}


def _place_parts(place: Place) -> list[Resource]:
    code = place.key.partition(":")[2]
    commune = gazetteer().communes.get(code)
    postal_codes = commune.postal_codes[:1] if commune else ()
    return [
        {"name": "kind", "valueCode": place.kind},
        {"name": "code", "valueCode": code},
        {"name": "name", "valueString": place.name},
        *([{"name": "department", "valueCode": place.department}] if place.department else []),
        *({"name": "postal-code", "valueString": postal_code} for postal_code in postal_codes),
    ]


def outcomes(
    wanted: Wanted, step: Step, found: Found, language: Language
) -> tuple[Resource | None, Resource | None]:
    """Returns the OperationOutcome before the matches (whom to call), and the one after them (remarks)."""
    calls = [
        Issue("informational", *_CALL[number], severity="warning", details_code=f"call-{number}")
        for number in wanted.intent.emergencies
    ]
    first = operation_outcome(calls, language) if calls else None
    remarks = list(_remarks(wanted, step, found, calls=bool(calls)))
    return first, operation_outcome(remarks, language) if remarks else None


def _remarks(wanted: Wanted, step: Step, found: Found, *, calls: bool) -> Iterator[Issue]:
    intent = wanted.intent
    place = intent.place.name if intent.place else None
    if intent.lost and not calls:
        words = ", ".join(f"« {word} »" for word in intent.unknown[:5])
        yield _note(
            "care-not-understood",
            f"Ces mots n'ont pas été compris : {words}. Essayez une profession, un besoin ou un nom.",
            f"These words were not understood: {words}. Try a profession, a need or a name.",
        )
    elif not found.hits:
        if not calls:
            yield _note(
                "care-nobody",
                "Personne n'a été trouvé, même plus largement. Essayez une autre ville ou d'autres mots, ou appelez.",
                "Nobody was found, even more widely. Try another town or other words, or call.",
            )
    elif step.told != "exact":
        where_fr = f" à {place}" if place else " ici"
        where_en = f" in {place}" if place else " here"
        fr, en = _WIDENED[step.told]
        km = f"{step.km:g}" if step.km else ""
        yield _note(
            "care-widened",
            fr.format(where=where_fr, km=f" (jusqu'à {km} km)" if km else ""),
            en.format(where=where_en, km=f" (up to {km} km)" if km else ""),
        )
    if intent.near_me and wanted.near is None:
        yield _note(
            "care-position",
            "« Près de moi » : donnez une position (near) ou une ville, sans cela toute la France est cherchée.",
            "“Near me”: give a position (near) or a town; without one all of France is searched.",
        )
    if _OUT_OF_HOURS.intersection(intent.times):
        yield _note(
            "care-out-of-hours",
            "La nuit, le dimanche et les jours fériés : un médecin de garde répond par le 15, ou le 116 117 là où il existe ;"
            " une pharmacie de garde se trouve par le 3237.",
            "At night, on Sundays and holidays: a doctor on duty is reached by 15, or 116 117 where it exists; a pharmacy on"
            " duty by 3237.",
        )
    elif intent.times:
        yield _note(
            "care-when",
            "Quand : l'annuaire ne compare pas les horaires ; les créneaux libres de chacun le disent.",
            "When: the directory does not compare hours; the free times of each tell.",
        )
    if not found.whole:
        yield _note(
            "care-many",
            "Beaucoup de professionnels conviennent : une partie a été comparée. Précisez une ville ou un besoin.",
            "Many professionals fit: some of them were compared. Say a town or a need.",
        )


_WIDENED: Mapping[str, tuple[str, str]] = {
    "around": (
        "Personne ne convient{where} ; voici les plus proches{km}.",
        "Nobody fits{where}; these are the nearest{km}.",
    ),
    "anywhere": (
        "Personne ne convient{where} ni à 100 km ; voici les plus proches ailleurs.",
        "Nobody fits{where} or within 100 km; these are the nearest elsewhere.",
    ),
    "instead": (
        "Personne de cette spécialité ne convient{where} ; voici qui peut vous recevoir ou vous orienter{km}.",
        "Nobody of this speciality fits{where}; these can see you or tell you where to go{km}.",
    ),
    "wishes": (
        "Personne ne remplit tous vos souhaits{where} ; voici qui convient sans eux.",
        "Nobody meets all your wishes{where}; these fit without them.",
    ),
    "name-elsewhere": (
        "Ce nom n'a pas été trouvé{where} ; voici qui le porte ailleurs.",
        "This name was not found{where}; these bear it elsewhere.",
    ),
    "name-other-care": (
        "Ce nom est celui d'un autre professionnel de santé{where}.",
        "This name is that of another kind of professional{where}.",
    ),
    "without-name": (
        "Personne de ce nom n'a été trouvé ; voici qui convient pour le reste{where}.",
        "Nobody of this name was found; these fit the rest{where}.",
    ),
}


def _note(code: str, fr: str, en: str) -> Issue:
    return Issue("informational", fr, en, severity="information", details_code=code)


def _understood(one: Understood, language: Language) -> Resource:
    parts: list[Resource] = [
        {"name": "text", "valueString": one.text},
        {"name": "kind", "valueCode": one.kind},
    ]
    if one.kind in ("care", "motive"):
        cares = vocabulary().cares
        for key in one.keys:
            parts.append({"name": "meaning", "valueString": cares[key].label(language)})
            parts += [{"name": "code", "valueCoding": coding_of(code)} for code in cares[key].codes[:1]]
    elif one.kind == "when":
        for code in one.keys:
            label = WHEN[code][language == "en"]
            parts.append({"name": "meaning", "valueString": label})
            parts.append({"name": "code", "valueCoding": {"code": code, "display": label}})
    elif one.meaning:
        parts.append({"name": "meaning", "valueString": one.meaning})
    if one.corrected:
        parts.append({"name": "corrected", "valueBoolean": True})
    return {"name": "understood", "part": parts}


def coding_of(term: str) -> Resource:
    """The Coding of a term of the index such as `R38:SM15`."""
    kind, _, code = term.partition(":")
    name = _TABLES.get(kind)
    if name is None:
        return {"code": code}
    system = _NOS.format(name, name.replace("_", "-"))
    label = display(system, code)
    return {"system": system, "code": code, **({"display": label} if label else {})}


def _facet_values(name: str, values: object, language: Language) -> Iterator[Resource]:
    assert isinstance(values, list)
    for value, count in values[:FACET_VALUES_MAX]:
        coding = _facet_coding(name, value, language)
        yield {
            "name": "value",
            "part": [{"name": "coding", "valueCoding": coding}, {"name": "count", "valueInteger": count}],
        }


def _facet_coding(name: str, value: str, language: Language) -> Resource:
    if name in ("profession", "specialty"):
        return coding_of(value)
    system = _SYSTEMS.get(name)
    label = display(system, value) if system else None
    if name == "commune" and value in gazetteer().communes:
        label = gazetteer().communes[value].name
    if name == "mode" and value in _MODES:
        label = _MODES[value][language == "en"]
    return {**({"system": system} if system else {}), "code": value, **({"display": label} if label else {})}


def _km(value: float) -> Resource:
    return {"value": round(value, 3), "unit": "km", "system": "http://unitsofmeasure.org", "code": "km"}


def _weights(sort_by_distance: bool) -> Resource:
    return {
        "name": "ranking",
        "part": [
            {"name": "sort", "valueCode": "distance" if sort_by_distance else "relevance"},
            {"name": "what", "valueDecimal": WHAT},
            {"name": "where", "valueDecimal": WHERE},
            {"name": "who", "valueDecimal": WHO},
            {"name": "decay", "valueQuantity": _km(FAR_KM)},
        ],
    }


def _explained(found: Found, at: int) -> Resource:
    hit = found.hits[at]
    parts: list[Resource] = [
        {"name": "match", "valueReference": {"reference": f"PractitionerRole/{hit.role}"}},
        {"name": "score", "valueDecimal": round(hit.score, 4)},
        {"name": "what", "valueDecimal": round(hit.what, 4)},
        {"name": "where", "valueDecimal": round(hit.where, 4)},
        {"name": "who", "valueDecimal": round(hit.who, 4)},
    ]
    if hit.distance_km is not None:
        parts.append({"name": "distance", "valueQuantity": _km(hit.distance_km)})
    return {"name": "explanation", "part": parts}
