"""What is read takes time in proportion to its length, whatever it repeats.

Nothing is timed: each input is so long that a reader that compares everything with everything would still be at it
when the test's time is over.
"""

from __future__ import annotations

import pytest

from creneau_shared.errors import BadRequest
from creneau_shared.fhir import json, narrative, xml
from creneau_shared.fhir.search.words import words_vector

pytestmark = pytest.mark.timeout(120)

MANY = 400_000


def test_a_property_repeated_after_many_others() -> None:
    names = ",".join(f'"k{n}":1' for n in range(MANY))
    with pytest.raises(BadRequest, match="“k399999” is given twice"):
        json.loads(f'{{{names},"k{MANY - 1}":1}}'.encode())


def test_a_primitive_repeated_in_xml() -> None:
    given = '<given value="a"/>' * MANY
    read = xml.from_xml(f'<Patient xmlns="http://hl7.org/fhir"><name>{given}</name></Patient>'.encode())
    assert read["name"][0]["given"] == ["a"] * MANY


def test_what_is_said_of_some_repeated_primitives_stays_beside_them() -> None:
    """The two lists of FHIR JSON keep step, whichever of them begins later."""
    said = '<extension url="http://a"><valueString value="x"/></extension>'
    read = xml.from_xml(
        f'<Patient xmlns="http://hl7.org/fhir"><name><given>{said}</given><given value="b"/>'
        f'<given value="c"/><given value="d">{said}</given></name></Patient>'.encode()
    )
    extension = {"extension": [{"url": "http://a", "valueString": "x"}]}
    assert read["name"][0] == {"given": [None, "b", "c", "d"], "_given": [extension, None, None, extension]}


def test_a_narrative_of_attributes() -> None:
    attributes = " ".join(f"a{n}='1'" for n in range(MANY))
    found = narrative.problem(f'<div xmlns="http://www.w3.org/1999/xhtml"><a {attributes}/></div>')
    assert found is not None
    assert "256 attributes" in found.en


def test_an_xml_element_of_attributes() -> None:
    attributes = " ".join(f"a{n}='1'" for n in range(MANY))
    with pytest.raises(BadRequest, match="256 attributes"):
        xml.from_xml(f'<Patient xmlns="http://hl7.org/fhir" {attributes}/>'.encode())


def test_a_text_full_of_equals_signs_is_no_crowd_of_attributes() -> None:
    ruler = "=" * 2000
    assert narrative.problem(f'<div xmlns="http://www.w3.org/1999/xhtml"><pre>{ruler}</pre></div>') is None


def test_a_narrative_of_comments_that_never_end() -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">jardin <![CDATA[{"<!--" * MANY}]]></div>'
    assert "'jardin'" in words_vector({"resourceType": "Patient", "text": {"div": div}})


def test_a_comment_is_no_text() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">jardin<!-- <b>secret</b> --> <i>clos</i></div>'
    vector = words_vector({"resourceType": "Patient", "text": {"div": div}})
    assert "'jardin'" in vector
    assert "'clos'" in vector
    assert "secret" not in vector
