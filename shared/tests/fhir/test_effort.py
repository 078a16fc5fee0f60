"""What is read takes time in proportion to its length, whatever it repeats.

Nothing is timed: each input is so long that a reader that compares everything with everything would still be at it
when the test's time is over.
"""

from __future__ import annotations

from typing import Any

import pytest

from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir import json, narrative, xml
from creneau_shared.fhir.patch import apply_patch
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


def crowded() -> dict[str, Any]:
    """A Patient of 200 KB: forty thousand given names."""
    return {"resourceType": "Patient", "gender": "female", "name": [{"given": ["a"] * 40_000}]}


def test_a_selector_asks_for_no_more_than_one_look_at_what_is_there() -> None:
    """Each level of XPath's `//*[count(//*[…])>0]` would look at everything once more for everything that is there."""
    everything = "//*"
    for _ in range(60):
        everything = f"//*[count({everything})>0]"
    patch = f'<diff><replace sel="/Patient/gender[count({everything})>0]/@value">other</replace></diff>'
    with pytest.raises(BadRequest) as refused:
        apply_patch("application/xml-patch+xml", patch.encode(), crowded())
    assert refused.value.issues[0].details_code == "patch-malformed"


def test_conditions_on_many_elements_again_and_again() -> None:
    named = "Patient/name/given" + "[@value='a']" * 70
    removals = f'<remove sel="{named}[last()]"/>' * 200
    in_xml = f"<diff>{removals}</diff>".encode()
    path = "Patient.name.given.where(id = 'x')"
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
    operations = [{"name": "operation", "part": parts}] * 200
    in_json = json.dumps({"resourceType": "Parameters", "parameter": operations})
    for format_, body in (("application/xml-patch+xml", in_xml), ("application/fhir+json", in_json)):
        with pytest.raises(Unprocessable) as refused:
            apply_patch(format_, body, crowded())
        assert (refused.value.issues[0].code, refused.value.issues[0].details_code) == (
            "too-costly",
            "patch-too-costly",
        )
