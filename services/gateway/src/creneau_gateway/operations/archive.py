"""A person's archive: a ZIP of everything that the services keep of them, for programs and for people."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from creneau_shared.clock import PARIS
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import Language
from creneau_shared.fhir.storage.store import Resource

DELIVERY = "https://creneau.sante.fr/fhir/StructureDefinition/message-delivery"
NAMES: Mapping[Language, str] = {"fr": "lisez-moi.html", "en": "read-me.html"}
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #888;padding:.3rem .5rem;text-align:left;"
    "vertical-align:top}caption{text-align:left;font-style:italic}"
)


@dataclass(frozen=True)
class _Words:
    """What the page says in one language."""

    title: str
    made: str
    whole: str
    none: str
    identity: str
    versions: str
    accounts: str
    proxies: str
    appointments: str
    appointment_columns: Sequence[str]
    messages: str
    message_columns: Sequence[str]
    trail: str
    trail_columns: Sequence[str]
    acts: Mapping[str, str]
    statuses: Mapping[str, str]
    rights: str


_ACTS_FR = {"C": "a créé", "R": "a consulté", "U": "a modifié", "D": "a supprimé", "E": "a exporté ou traité"}
_ACTS_EN = {"C": "created", "R": "looked at", "U": "changed", "D": "deleted", "E": "exported or processed"}
_STATUSES_FR = {
    "proposed": "demandé",
    "pending": "en attente",
    "booked": "confirmé",
    "arrived": "arrivé",
    "fulfilled": "honoré",
    "cancelled": "annulé",
    "noshow": "non honoré",
    "waitlist": "sur liste d'attente",
    "completed": "envoyé",
    "preparation": "prévu",
    "in-progress": "en cours d'envoi",
    "not-done": "non envoyé",
    "checked-in": "accueilli",
    "entered-in-error": "saisi par erreur",
    "stopped": "interrompu",
}

WORDS: Mapping[Language, _Words] = {
    "fr": _Words(
        title="Vos données dans Créneau",
        made="Archive établie le {when}.",
        whole="Le fichier donnees.json contient tout, y compris chaque version antérieure, au format FHIR R4 (Bundle) ;"
        " cette page en est le résumé lisible.",
        none="Rien.",
        identity="Qui vous êtes",
        versions="{count} versions conservées, de la plus ancienne à la plus récente.",
        accounts="Comptes qui agissent en votre nom",
        proxies="Personnes qui vous représentent",
        appointments="Vos rendez-vous",
        appointment_columns=("Quand", "État", "Avec", "Ce que vous avez écrit"),
        messages="Messages qui vous sont adressés",
        message_columns=("Quand", "Objet", "À quelle adresse", "État"),
        trail="Qui a consulté ou modifié vos données",
        trail_columns=("Quand", "Qui", "Quoi"),
        acts=_ACTS_FR,
        statuses=_STATUSES_FR,
        rights="Vous pouvez faire corriger ces données, ou tout faire effacer (opération $erase, ou auprès d'un humain :"
        " voir le guide « données personnelles »).",
    ),
    "en": _Words(
        title="Your data in Créneau",
        made="Archive made on {when}.",
        whole="The file donnees.json holds everything, every earlier version included, as FHIR R4 (a Bundle); this page"
        " is its readable summary.",
        none="Nothing.",
        identity="Who you are",
        versions="{count} versions are kept, the oldest first.",
        accounts="Accounts that act in your name",
        proxies="People who represent you",
        appointments="Your appointments",
        appointment_columns=("When", "Status", "With", "What you wrote"),
        messages="Messages to you",
        message_columns=("When", "Subject", "To which address", "Status"),
        trail="Who looked at or changed your data",
        trail_columns=("When", "Who", "What"),
        acts=_ACTS_EN,
        statuses={},
        rights="You can have these data corrected, or everything erased (operation $erase, or through a human being: see"
        " the guide on personal data).",
    ),
}


def archive_of(bundle: Resource, names: Mapping[str, str], now: datetime) -> bytes:
    """The ZIP. `names`: what people and places are called, by reference."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("donnees.json", dumps(bundle))
        for language, name in NAMES.items():
            archive.writestr(name, page_of(bundle, names, now, language))
    return target.getvalue()


def page_of(bundle: Resource, names: Mapping[str, str], now: datetime, language: Language) -> str:
    """The readable page of an archive's Bundle, without anything loaded from outside."""
    words = WORDS[language]
    found = [entry["resource"] for entry in bundle.get("entry", ())]
    parts = [
        f"<h1>{escape(words.title)}</h1>",
        f"<p>{escape(words.made.format(when=_when(now.isoformat())))} {escape(words.whole)}</p>",
        _identity(_of(found, "Patient"), words),
        _people(_of(found, "Person"), _latest(_of(found, "RelatedPerson")), words),
        _table(
            words.appointments,
            words.appointment_columns,
            [_appointment(one, names, words) for one in _latest(_of(found, "Appointment"))],
            words,
        ),
        _table(
            words.messages,
            words.message_columns,
            [row for one in _of(found, "Communication") for row in _message(one, words)],
            words,
        ),
        _table(
            words.trail,
            words.trail_columns,
            [_access(one, words) for one in _of(found, "AuditEvent")],
            words,
        ),
        f"<p>{escape(words.rights)}</p>",
    ]
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(words.title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def named_references(bundle: Resource) -> list[str]:
    """The professionals and places that the appointments name, for the directory to say what they are called."""
    found: dict[str, None] = {}
    for entry in bundle.get("entry", ()):
        for participant in entry["resource"].get("participant", ()):
            reference = str(participant.get("actor", {}).get("reference", ""))
            if reference.startswith(("Practitioner/", "Location/")):
                found[reference] = None
    return list(found)


def name_of(resource: Resource) -> str:
    """What a Practitioner or a Location is called."""
    name = resource.get("name")
    return name if isinstance(name, str) else _human(name[0] if name else {})


def _of(found: Sequence[Resource], resource_type: str) -> list[Resource]:
    return [resource for resource in found if resource["resourceType"] == resource_type]


def _latest(found: Sequence[Resource]) -> list[Resource]:
    """The last version of each: they stand in order."""
    return list({resource["id"]: resource for resource in found}.values())


def _identity(versions: Sequence[Resource], words: _Words) -> str:
    rows = "".join(
        f"<li>{escape(_when(v.get('meta', {}).get('lastUpdated')))} – {escape(_said_of_patient(v))}</li>"
        for v in versions
    )
    head = f"<h2>{escape(words.identity)}</h2>"
    return f"{head}<p>{escape(words.versions.format(count=len(versions)))}</p><ul>{rows}</ul>"


def _said_of_patient(patient: Resource) -> str:
    parts = [
        *(_human(name) for name in patient.get("name", ())),
        patient.get("birthDate", ""),
        *(str(t.get("value", "")) for t in patient.get("telecom", ())),
        *(str(i.get("value", "")) for i in patient.get("identifier", ())),
        *(
            " ".join([*a.get("line", ()), a.get("postalCode", ""), a.get("city", "")])
            for a in patient.get("address", ())
        ),
    ]
    return ", ".join(part.strip() for part in parts if part.strip())


def _people(accounts: Sequence[Resource], proxies: Sequence[Resource], words: _Words) -> str:
    said = [f"<h2>{escape(words.accounts)}</h2>", _list([_account(a) for a in accounts], words)]
    said += [f"<h2>{escape(words.proxies)}</h2>", _list([_proxy(p) for p in proxies], words)]
    return "".join(said)


def _account(person: Resource) -> str:
    return ", ".join(f"{i.get('value', '')} ({i.get('system', '')})" for i in person.get("identifier", ()))


def _proxy(person: Resource) -> str:
    period = person.get("period", {})
    names = ", ".join(_human(name) for name in person.get("name", ())) or person["id"]
    span = " – ".join(filter(None, (period.get("start"), period.get("end"))))
    return f"{names} {span}".strip()


def _appointment(one: Resource, names: Mapping[str, str], words: _Words) -> list[str]:
    references = [str(p.get("actor", {}).get("reference", "")) for p in one.get("participant", ())]
    who = [names.get(r, r) for r in references if r and not r.startswith(("Patient/", "RelatedPerson/"))]
    status = words.statuses.get(one["status"], one["status"])
    return [_when(one.get("start")), status, ", ".join(who), str(one.get("comment", ""))]


def _message(one: Resource, words: _Words) -> list[list[str]]:
    status = words.statuses.get(one["status"], one["status"])
    about = ", ".join(str(p.get("contentString", "")) for p in one.get("payload", ()))
    deliveries = [e for e in one.get("extension", ()) if e.get("url") == DELIVERY]
    if not deliveries:
        return [[_when(one.get("sent")), about, "", status]]
    rows = []
    for delivery in deliveries:
        said = {part["url"]: next(v for k, v in part.items() if k != "url") for part in delivery["extension"]}
        rows.append([_when(said.get("at")), said.get("subject", about), said.get("sent-to", ""), status])
    return rows


def _access(event: Resource, words: _Words) -> list[str]:
    agent = event["agent"][0]
    who = agent.get("name") or agent.get("altId") or ""
    what = ", ".join(
        str(entity.get("what", {}).get("reference", "")).partition("/_history/")[0]
        for entity in event.get("entity", ())
    )
    return [
        _when(event["recorded"]),
        str(who),
        f"{words.acts.get(event.get('action', ''), '')} {what}".strip(),
    ]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], words: _Words) -> str:
    if not rows:
        return f"<h2>{escape(title)}</h2><p>{escape(words.none)}</p>"
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _list(items: Sequence[str], words: _Words) -> str:
    if not items:
        return f"<p>{escape(words.none)}</p>"
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def _human(name: Mapping[str, Any]) -> str:
    if name.get("text"):
        return str(name["text"])
    return " ".join([*name.get("prefix", ()), *name.get("given", ()), str(name.get("family", ""))]).strip()


def _when(text: str | None) -> str:
    """A moment as people in France read it; any other text as it is."""
    if not text:
        return ""
    try:
        return datetime.fromisoformat(text).astimezone(PARIS).strftime("%d/%m/%Y %H:%M")
    except ValueError:
        return text
