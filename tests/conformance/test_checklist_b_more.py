"""Scheduling (docs/checklists.md), B: full text, `_filter`, value sets, links and refusals, over HTTP through the gateway."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.builders import (
    SYSTEM,
    Agenda,
    Resource,
    appointment,
    created,
    ids,
    issue,
    link,
    organization,
    patient,
    practitioner,
    resources,
    schedule,
    unique,
)
from tests.fixtures.stack import Stack

DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>{}</p></div>'


def narrative(text: str) -> Resource:
    return {"status": "generated", "div": DIV.format(text)}


def find(client: httpx.Client, kind: str, **parameters: Any) -> list[str]:
    return ids(client.get(f"/{kind}", params={n.replace("__", ":"): v for n, v in parameters.items()}))


# -- point 20: _text, _content ----------------------------------------------------------------------------------


def test_text_and_content(system: httpx.Client) -> None:
    """The narrative for one, everything for the other; changed and deleted with the resource."""
    word, other, third = (f"Été{unique()[:12]}" for _ in range(3))
    stored = created(system, organization(name=f"Maison {other}", text=narrative(f"Accueil <b>{word}</b>")))
    id_ = stored["id"]
    plain = word.lower().replace("é", "e")
    assert find(system, "Organization", _text=plain) == [id_]
    assert find(system, "Organization", _text=other) == []
    assert find(system, "Organization", _content=other) == [id_]
    assert find(system, "Organization", _content=f"{word} {other}") == [id_]
    assert find(system, "Organization", _content=f"({third} OR {other}) and NOT maison") == []
    assert find(system, "Organization", _content=f'"maison {other}"') == [id_]
    assert find(system, "Organization", _content=f'"{other} maison"') == []
    changed = {**stored, "name": f"Maison {third}"}
    assert system.put(f"/Organization/{id_}", json=changed).status_code == 200
    assert find(system, "Organization", _content=other) == []
    assert find(system, "Organization", _content=third) == [id_]
    assert system.delete(f"/Organization/{id_}").status_code == 204
    assert find(system, "Organization", _content=third) == []


def test_content_of_every_kind_of_table(system: httpx.Client, agenda: Agenda, stack: Stack) -> None:
    """A narrow slot by its kind's words and by its own; an appointment; a replica through a chain; the trace."""
    kind, own, note, family = (f"mot{unique()[:12]}" for _ in range(4))
    first = agenda.slot(0, comment=kind)["id"]
    second = agenda.slot(1, comment=kind, text=narrative(own))["id"]
    assert find(system, "Slot", _content=kind) == [first, second]
    assert find(system, "Slot", _content=f"{kind} {own}") == [second]
    assert find(system, "Slot", _text=own, schedule=agenda.id) == [second]
    who = created(system, patient())["id"]
    visit = created(system, appointment(who, system.get(f"/Slot/{first}").json()) | {"comment": note})["id"]
    assert find(system, "Appointment", _content=note) == [visit]
    assert find(system, "Slot", **{"_has:Appointment:slot:_content": note}) == [first]
    doctor = created(system, practitioner(name=[{"family": family}]))
    stack.replicate(doctor)
    theirs = created(system, schedule(f"Practitioner/{doctor['id']}"))["id"]
    assert find(system, "Schedule", **{"actor:Practitioner._content": family}) == [theirs]


@pytest.mark.parametrize("kind", ["Slot", "Appointment", "Practitioner", "AuditEvent", "Communication"])
def test_any_text_is_understood_or_refused(system: httpx.Client, kind: str) -> None:
    """Nothing that a client writes is an error of ours."""
    for text in (
        "'",
        "\\",
        "a & | ! <->",
        "((((",
        '"',
        ":*",
        "a:*A",
        "é" * 300,
        "-a",
        "NOT",
        "🦷",
        "%",
        "*",
    ):
        for name in ("_text", "_content"):
            answer = system.get(f"/{kind}", params={name: text, "_count": 1})
            assert answer.status_code in (200, 400), (name, text, answer.text)


# -- point 20: _filter ------------------------------------------------------------------------------------------


def test_filter(system: httpx.Client, agenda: Agenda) -> None:
    """Logic, chains, prefixes: as by plain parameters; the link says the filter again."""
    first, second, third = (agenda.slot(number) for number in range(3))
    mine = f"schedule eq Schedule/{agenda.id}"

    def found(text: str) -> list[str]:
        return find(system, "Slot", _filter=text)

    assert found(mine) == [first["id"], second["id"], third["id"]]
    assert found(f"{mine} and start ge {second['start']}") == [second["id"], third["id"]]
    assert found(f"{mine} and (start lt {second['start']} or start gt {second['start']})") == [
        first["id"],
        third["id"],
    ]
    assert found(f"{mine} and not (start eq {second['start']})") == [first["id"], third["id"]]
    assert found(f"{mine} and status eq busy") == []
    assert found(f"schedule[active eq true].actor re {agenda.practitioner} and {mine}") == found(mine)
    answer = system.get("/Slot", params={"_filter": f"{mine} and status eq free", "_count": 2})
    following = system.get(link(answer, "next") or "")
    assert ids(answer) + ids(following) == [first["id"], second["id"], third["id"]]
    refused = system.get("/Slot", params={"_filter": "status eq free and colour eq red"})
    assert (refused.status_code, issue(refused)["expression"]) == (400, ["http._filter"])
    assert "20" in issue(refused)["details"]["text"], "the character where the error is"


def test_a_filter_never_shows_more_than_one_may_see(
    stack: Stack, system: httpx.Client, agenda: Agenda
) -> None:
    """Neither by a word, nor by OR, nor by the complement of what is hidden."""
    word = f"mot{unique()[:12]}"
    person = created(system, patient())["id"]
    visit = created(system, appointment(person, agenda.slot()) | {"comment": word})["id"]
    with stack.client("patient", subject=unique(), patient="someone-else") as other:
        for name, text in (
            ("_content", word),
            ("_filter", f"_content co {word} or status pr true"),
            ("_filter", "not (status eq nonsense)"),
            ("_filter", f"not (patient._content co {word})"),
        ):
            assert visit not in find(other, "Appointment", **{name: text}), text
    with stack.client("patient", subject=unique(), patient=person) as own:
        assert find(own, "Appointment", _content=word) == [visit]


# -- item 22: value sets ----------------------------------------------------------------------------------------


def test_value_sets_and_hierarchies(system: httpx.Client) -> None:
    """:in, :not-in, :below and :above; a value set or system that is not known is said to be so."""
    name = unique()
    prov, dept = (
        created(
            system,
            organization(
                name=f"{name} {code}",
                type=[
                    {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/organization-type",
                                "code": code,
                            }
                        ]
                    }
                ],
            ),
        )["id"]
        for code in ("prov", "dept")
    )
    other = created(
        system, organization(name=f"{name} x", type=[{"coding": [{"system": SYSTEM, "code": "prov"}]}])
    )["id"]
    own = {"name": name}
    known = "http://hl7.org/fhir/ValueSet/organization-type"
    assert find(system, "Organization", **own, type__in=known) == [prov, dept]
    assert find(system, "Organization", **own, **{"type:not-in": known}) == [other]
    system_url = "http://terminology.hl7.org/CodeSystem/organization-type"
    assert find(system, "Organization", **own, type__below=f"{system_url}|prov") == [prov]
    assert find(system, "Organization", **own, _filter=f"type in {known}") == [prov, dept]
    for modifier, value in (("in", "http://nowhere.example/ValueSet/x"), ("below", "urn:nowhere|x")):
        refused = system.get("/Organization", params={f"type:{modifier}": value})
        assert (refused.status_code, issue(refused)["code"]) == (400, "not-found")
        assert value.split("|")[0] in issue(refused)["details"]["text"]


# -- points 15 and 20: links, refusals --------------------------------------------------------------------------


def test_links_first_previous_next_last(agenda: Agenda, system: httpx.Client) -> None:
    made = [agenda.slot(number)["id"] for number in range(5)]
    first = system.get("/Slot", params={"schedule": agenda.id, "_count": 2})
    assert (link(first, "first"), link(first, "previous")) == (None, None)
    last = system.get(link(first, "last") or "")
    assert (ids(last), link(last, "next"), link(last, "last")) == (made[3:], None, None)
    before = system.get(link(last, "previous") or "")
    assert ids(before) == made[1:3]
    again = system.get(link(before, "first") or "")
    assert ids(again) == made[:2]


@pytest.mark.parametrize(
    "query",
    [
        "_list=42",
        "_query=urgent",
        "_contained=true",
        "_contained=both",
        "_containedType=container",
        "_text:missing=true",
    ],
)
def test_what_is_not_offered_is_refused(system: httpx.Client, query: str) -> None:
    """Also leniently: ignoring what narrows a result would widen it."""
    refused = system.get(f"/Slot?{query}")
    assert (refused.status_code, issue(refused)["code"]) == (400, "not-supported")
    assert issue(refused)["expression"] == [f"http.{query.partition('=')[0]}"]


def test_summary_text_goes_without_includes(agenda: Agenda, system: httpx.Client) -> None:
    stored = agenda.slot(text=narrative("Une note"), comment="Au fond du couloir")
    text = resources(system.get("/Slot", params={"_id": stored["id"], "_summary": "text"}))[0]
    assert set(text) == {"resourceType", "id", "meta", "text", "schedule", "status", "start", "end"}
    data = resources(system.get("/Slot", params={"_id": stored["id"], "_summary": "data"}))[0]
    assert "text" not in data
    assert data["comment"] == "Au fond du couloir"
    mixed = system.get("/Slot", params={"_summary": "text", "_include": "Slot:schedule"})
    assert mixed.status_code == 400


def test_definitions(system: httpx.Client) -> None:
    """The three are SearchParameters like the others, each under its canonical, once for all types."""
    for name, url in (
        ("text", "http://hl7.org/fhir/SearchParameter/DomainResource-text"),
        ("content", "http://hl7.org/fhir/SearchParameter/Resource-content"),
        ("filter", "https://creneau.sante.fr/fhir/SearchParameter/Resource-filter"),
    ):
        definition = system.get(f"/SearchParameter/{url.rpartition('/')[2]}").json()
        assert (definition["url"], definition["code"]) == (url, f"_{name}")
