"""XML: the same resource in another dress, and nothing dangerous from outside."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree
from shared.tests.fhir.resources import appointment, patient

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.json import NESTING_MAX
from creneau_shared.fhir.validation import validate
from creneau_shared.fhir.xml import from_xml, to_xml

FHIR = 'xmlns="http://hl7.org/fhir"'


def document(content: str, name: str = "Patient") -> bytes:
    return f"<{name} {FHIR}>\n{content}</{name}>".encode()


@pytest.mark.parametrize(
    "resource",
    [
        appointment(),
        patient(deceasedBoolean=False, multipleBirthInteger=2),
        patient(birthDate=None, _birthDate={"id": "b", "extension": [{"url": "u", "valueCode": "unknown"}]}),
        patient(
            name=[
                {
                    "id": "n",
                    "given": ["A", None],
                    "_given": [None, {"extension": [{"url": "u", "valueCode": "x"}]}],
                }
            ]
        ),
        patient(contained=[patient(id="p")], link=[{"other": {"reference": "#p"}, "type": "seealso"}]),
        patient(name=[{"text": 'ligne\n"citée" <&> \t😀'}]),
        patient(extension=[{"id": "e", "url": "u", "valueDecimal": Decimal("1.10")}]),
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "x", "part": [{"name": "y", "resource": patient()}]}],
        },
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": appointment()}, {"fullUrl": "u"}],
        },
    ],
)
def test_resource_survives(resource: dict[str, Any]) -> None:
    assert from_xml(to_xml(resource)) == resource


@pytest.mark.parametrize("text", ["1.10", "1E+5", "0.000", "-3"])
def test_decimal_is_textual(text: str) -> None:
    body = document(f'<extension url="u"><valueDecimal value="{text}"/></extension>')
    value = from_xml(body)["extension"][0]["valueDecimal"]
    assert str(value) == text
    assert f'value="{text}"'.encode() in to_xml(from_xml(body))


def test_order_is_that_of_the_specification() -> None:
    """XML has an order, JSON has none."""
    root = etree.fromstring(to_xml(patient(active=True, identifier=[{"value": "1", "system": "urn:x"}])))
    assert [etree.QName(child).localname for child in root] == [
        "id",
        "identifier",
        "active",
        "name",
        "gender",
        "birthDate",
    ]
    assert [etree.QName(child).localname for child in root[1]] == ["system", "value"]


def test_narrative_keeps_its_namespace_and_loses_ours() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>Bonjour &amp; merci</p></div>'
    resource = patient(text={"status": "generated", "div": div})
    assert from_xml(to_xml(resource)) == resource


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (document("<nonsense/>"), "Line 2: <nonsense>"),
        (document('<active value="yes"/>'), "boolean"),
        (document('<active value="true" size="1"/>'), "attribute size"),
        (document('<active value="true">text</active>'), "holds text"),
        (document('<active value="true"/><active value="true"/>'), "repeated"),
        (document('<multipleBirthInteger value="1.0"/>'), "integer"),
        (document('<extension url="u"><valueDecimal value="1,5"/></extension>'), "decimal"),
        (document('<text><status value="generated"/><div>x</div></text>'), "namespace"),
        (document("<contained/>"), "single resource"),
        (document("", name="Banana"), "not a resource type"),
        (b'<Patient><active value="true"/></Patient>', "namespace"),
        (f'<Patient {FHIR} id="x"/>'.encode(), "attribute id"),
        (f"<Patient {FHIR}>".encode(), "well-formed"),
        (b"", "well-formed"),
        (b"\xff\xfe<\x00", "UTF-8"),
        (document('<extension url="u">' * 150 + "</extension>" * 150), "too deep"),
    ],
)
def test_what_is_not_fhir_says_where(body: bytes, word: str) -> None:
    with pytest.raises(BadRequest) as caught:
        from_xml(body)
    (issue,) = caught.value.issues
    assert word in issue.en
    assert issue.fr
    assert NESTING_MAX < 150


ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "body",
    [
        f'<!DOCTYPE x [<!ENTITY l0 "lol">{ENTITIES}]><Patient {FHIR}><active value="&l9;"/></Patient>'.encode(),
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Patient {FHIR}>&e;</Patient>'.encode(),
        f'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><Patient {FHIR}/>'.encode(),
        f'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x+AD4-<Patient {FHIR}/>'.encode(),
        f"<Patient {FHIR}>&undefined;</Patient>".encode(),
    ],
)
def test_no_dtd_no_entities_no_network(body: bytes) -> None:
    with pytest.raises(BadRequest):
        from_xml(body)


_PLACES: tuple[Callable[[str], dict[str, Any]], ...] = (
    lambda text: patient(name=[{"text": text}]),
    lambda text: patient(name=[{"id": text, "family": "x"}]),
    lambda text: patient(language=text),
    lambda text: patient(implicitRules=text),
    lambda text: patient(identifier=[{"system": text, "value": text}]),
    lambda text: patient(extension=[{"url": text, "valueMarkdown": text}]),
    lambda text: patient(extension=[{"url": "u", "valueCode": text}]),
    lambda text: patient(photo=[{"data": text}]),
    lambda text: patient(contained=[patient(name=[{"text": text}])]),
    lambda text: patient(text={"status": "generated", "div": text}),
    lambda text: patient(
        text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'}
    ),
    lambda text: patient(
        text={"status": "generated", "div": f'{text}<div xmlns="http://www.w3.org/1999/xhtml">x</div>{text}'}
    ),
)
"""a Patient with a text at each kind of place that takes one"""


@pytest.mark.parametrize("place", _PLACES)
@given(text=st.text(min_size=1, max_size=6))
@example(text="x\ufffe")
@example(text="x\uffff")
@example(text="\ufeff")
@example(text="\x7f\x85\u2028")
@example(text="<?xml version='1.0' encoding='UTF-8'?>")
@example(text="<?xml version='1.0' encoding='ISO-8859-1'?>")
@example(text="<?x y?>")
@example(text="<!-- x -->")
def test_what_is_accepted_can_be_written(place: Callable[[str], dict[str, Any]], text: str) -> None:
    """Whatever may be stored as JSON is read as XML too: nobody makes a resource that others cannot read."""
    resource = place(text)
    if not any(issue.severity in ("error", "fatal") for issue in validate(resource)):
        from_xml(to_xml(resource))


def test_what_was_stored_before_is_written_with_what_stands_for_the_unreadable() -> None:
    """A character that XML cannot hold keeps nobody from reading the rest; a declaration within a narrative neither."""
    div = '<div xmlns="http://www.w3.org/1999/xhtml">é</div>'
    stored = patient(
        name=[{"id": "a\ufffe", "text": "Cam\uffffille"}],
        text={"status": "generated", "div": f'<?xml version="1.0" encoding="ISO-8859-1"?>{div}'},
    )
    read = from_xml(to_xml(stored))
    assert read["name"] == [{"id": "a\ufffd", "text": "Cam\ufffdille"}]
    assert read["text"]["div"] == div


def test_an_attribute_that_was_stored_with_extensions_alone_does_not_stop_the_page() -> None:
    """Neither is accepted any more; the rest of the resource can be read."""
    beside = {"extension": [{"url": "urn:x", "valueString": "x"}]}
    stored = {"resourceType": "Patient", "name": [{"_id": beside, "family": "Roux"}], "active": True}
    written = from_xml(to_xml({**stored, "extension": [{"_url": beside, "valueString": "x"}]}))
    assert (written["name"], written["active"]) == ([{"family": "Roux"}], True)


def test_unknown_property_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        to_xml(patient(nonsense=1))
