"""A page as somebody without a browser reads it: its links, its forms, its words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urljoin, urlsplit

from lxml import html

SPACES = re.compile(r"\s+")
HIDDEN_WORDS = ("script", "style", "datalist", "template")
BLOCKS = frozenset(
    {"p", "li", "dt", "dd", "h1", "h2", "h3", "label", "button", "legend", "summary", "td", "th", "title"}
)
"""elements each of which says something of its own"""


def plain(text: str) -> str:
    """Text with single blanks."""
    return SPACES.sub(" ", text).strip()


@dataclass(frozen=True)
class Field:
    """Something that a form sends."""

    name: str
    kind: str
    """`text`, `email`, `date` …; `textarea`, `select`, `radio`, `checkbox`, `hidden`"""
    value: str
    choices: tuple[str, ...] = ()
    """what may be chosen: of a list, of the radios or boxes of one name"""
    chosen: tuple[str, ...] = ()

    @property
    def is_typed(self) -> bool:
        return self.kind not in ("hidden", "select", "radio", "checkbox")


@dataclass(frozen=True)
class Form:
    """One form: where it leads, and what it sends."""

    action: str
    method: str
    fields: tuple[Field, ...]
    buttons: tuple[tuple[str, str] | None, ...]
    """what each button sends; None for one without a name"""


@dataclass
class Sheet:
    """What came back: `url` is where it was found in the end."""

    url: str
    status: int
    text: str
    media_type: str = "text/html"

    @property
    def is_html(self) -> bool:
        return self.media_type.startswith("text/html")

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def root(self) -> html.HtmlElement:
        return html.document_fromstring(self.text or "<!doctype html><html></html>")

    @cached_property
    def links(self) -> list[str]:
        """Where its links lead, whole."""
        found = [urljoin(self.url, str(a.get("href"))) for a in self.root.iter("a") if a.get("href")]
        return list(dict.fromkeys(link for link in found if link.startswith("http")))

    @cached_property
    def forms(self) -> list[Form]:
        """Each form as its own buttons send it; before them, once more for each button that leads elsewhere, wherever on
        the page it stands (`form`, `formaction`)."""
        forms = list(self.root.iter("form"))
        by_id = {str(form.get("id")): form for form in forms if form.get("id")}
        elsewhere = []
        for button in self.root.iter("button", "input"):
            form = by_id.get(str(button.get("form")), next(button.iterancestors("form"), None))
            if _is_button(button) and button.get("formaction") and form is not None:
                elsewhere.append(self._form(form, button))
        return [*elsewhere, *(self._form(form) for form in forms)]

    @cached_property
    def ids(self) -> list[str]:
        return [str(element.get("id")) for element in self.root.iter() if element.get("id")]

    @cached_property
    def words(self) -> str:
        """All that can be read, the title too."""
        return plain(" ".join(text for _, text in self.blocks()))

    @property
    def language(self) -> str:
        return str(self.root.get("lang") or "")

    def blocks(self) -> Iterator[tuple[str, str]]:
        """Each piece of text with its language: what an element says itself, without what stands in blocks within."""
        yield from _blocks(self.root, self.language)

    def _form(self, element: html.HtmlElement, pressed: html.HtmlElement | None = None) -> Form:
        own = (b for b in element.iter("button", "input") if _is_button(b) and not b.get("formaction"))
        buttons = [pressed] if pressed is not None else list(own)
        said = {**element.attrib, **(_instead(pressed) if pressed is not None else {})}
        return Form(
            urljoin(self.url, str(said.get("action") or self.url)),
            str(said.get("method") or "get").lower(),
            tuple(_fields(element)),
            tuple(
                (str(b.get("name")), str(b.get("value") or "")) if b.get("name") else None for b in buttons
            ),
        )


def _blocks(element: html.HtmlElement, language: str) -> Iterator[tuple[str, str]]:
    language = str(element.get("lang") or language)
    pieces: list[str] = [element.text or ""]
    for child in element:
        if not isinstance(child.tag, str) or child.tag in HIDDEN_WORDS:
            pass
        elif child.tag in BLOCKS or child.get("lang") or _has_blocks(child):
            yield from _blocks(child, language)
            pieces.append(" ")
        else:
            pieces.append(child.text_content())
        pieces.append(child.tail or "")
    if element.tag == "textarea":
        return
    text = plain("".join(pieces))
    if text:
        yield language, text


def _has_blocks(element: html.HtmlElement) -> bool:
    return any(one.tag in BLOCKS or one.get("lang") for one in element.iter() if isinstance(one.tag, str))


def _instead(button: html.HtmlElement) -> dict[str, str]:
    """What a button says instead of its form."""
    return {
        name: str(button.get(f"form{name}")) for name in ("action", "method") if button.get(f"form{name}")
    }


def _is_button(element: html.HtmlElement) -> bool:
    kind = element.get("type")
    return kind in (None, "submit") if element.tag == "button" else kind == "submit"


def _fields(form: html.HtmlElement) -> Iterator[Field]:
    grouped: dict[tuple[str, str], list[html.HtmlElement]] = {}
    for element in form.iter("input", "textarea", "select"):
        name, kind = str(element.get("name") or ""), str(element.get("type") or "text")
        if not name or kind == "submit":
            continue
        if element.tag == "textarea":
            yield Field(name, "textarea", (element.text or "").removeprefix("\n"))
        elif element.tag == "select":
            yield _list(name, element)
        elif kind in ("radio", "checkbox"):
            grouped.setdefault((name, kind), []).append(element)
        else:
            yield Field(name, kind, str(element.get("value") or ""))
    for (name, kind), elements in grouped.items():
        values = tuple(str(one.get("value") or "on") for one in elements)
        chosen = tuple(v for v, one in zip(values, elements, strict=True) if one.get("checked") is not None)
        yield Field(name, kind, "", values, chosen)


def _list(name: str, element: html.HtmlElement) -> Field:
    options = list(element.iter("option"))
    values = tuple(str(o.get("value") if o.get("value") is not None else o.text_content()) for o in options)
    chosen = tuple(v for v, o in zip(values, options, strict=True) if o.get("selected") is not None)
    return Field(name, "select", "", values, chosen or values[:1])
