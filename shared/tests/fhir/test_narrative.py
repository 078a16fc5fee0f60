"""A narrative that is shown loads nothing from outside: no server learns who reads whose record."""

from __future__ import annotations

import pytest

from creneau_shared.fhir.narrative import XHTML_NAMESPACE, problem, sanitise


def div(content: str) -> str:
    return f'<div xmlns="{XHTML_NAMESPACE}">Camille {content}</div>'


@pytest.mark.parametrize(
    "content",
    [
        '<img src="https://evil.example/p.png"/>',
        '<img src="HTTP://evil.example/p.png"/>',
        '<img src="ftp://evil.example/p.png"/>',
        '<img src="//evil.example/p.png"/>',
        '<img src=" //evil.example/p.png"/>',
        '<img src="/\\evil.example/p.png"/>',
        '<img src="\\\\evil.example/p.png"/>',
        '<img src="&#9;/&#10;/evil.example/p.png"/>',
        '<img src="ht&#10;tps://evil.example/p.png"/>',
        '<img src="fhir://evil.example"/>',
        '<img src="data:image/svg+xml,x"/>',
        '<img src="data:text/html,x"/>',
        '<p style="background: url(https://evil.example/p)">x</p>',
        '<p style="background: URL ( //evil.example/p )">x</p>',
        '<p style="background: u\\72l(//evil.example)">x</p>',
        "<p style=\"background-image: image-set('https://evil.example/p' 1x)\">x</p>",
        "<p style=\"background-image: -webkit-image-set('//evil.example/p' 1x)\">x</p>",
        '<p style="cursor: url(//evil.example), auto">x</p>',
        '<p style="list-style-image:url(data:image/png;base64,AAAA)">x</p>',
        "<p style=\"@import '//evil.example'\">x</p>",
        '<p style="width: expression(alert(1))">x</p>',
        '<p style="behavior: url(#x)">x</p>',
        "<p style=\"content: image('//evil.example')\">x</p>",
        "<p style=\"content: src('//evil.example')\">x</p>",
        '<a href="javascript:alert(1)">x</a>',
    ],
)
def test_what_would_load_or_run_is_refused(content: str) -> None:
    found = problem(div(content))
    assert found is not None
    assert found.rule == "txt-1"


@pytest.mark.parametrize(
    "content",
    [
        '<img src="data:image/png;base64,AAAA" alt="x"/>',
        '<img src="#photo" alt="x"/>',
        '<img src="cid:photo" alt="x"/>',
        '<img src="photo.png" alt="x"/>',
        '<img src="Binary/1" alt="x"/>',
        '<a href="https://elsewhere.example/">x</a>',
        '<a href="//elsewhere.example/">x</a>',
        '<a href="mailto:a@example.org">x</a>',
        '<p style="color: #123456; font-weight: bold; background-color: rgb(1, 2, 3)">x</p>',
        '<p style="width: calc(100% - 3px)">x</p>',
    ],
)
def test_what_comes_along_and_links_are_kept(content: str) -> None:
    assert problem(div(content)) is None


def test_what_is_shown_in_a_page_sends_nobody_a_referrer() -> None:
    shown = sanitise(div('<a href="https://elsewhere.example/" style="color:red">x</a><img src="#p"/>'))
    assert 'rel="noopener noreferrer nofollow"' in shown
    assert "img" not in shown
    assert "style" not in shown
