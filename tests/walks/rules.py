"""What must hold of every page, whoever sees it and whatever they did before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

from creneau_web.wording import read_catalogues
from tests.walks.sheet import Form, Sheet, plain

TITLE = re.compile(r"\S.* – Créneau", re.DOTALL)
LEFT_OVER = re.compile(
    r"\bNone\b|\bnan\b|\bundefined\b|\{\}|\{\w+\}|%s|%\(|&amp;|&lt;|&#\d+;|\bTraceback\b|<bound |datetime\.|\[object"
)
"""what a program wrote, not a person"""
KEY = re.compile(r"\b[a-z_]+(?:\.[a-z_]+)+\b")
WORD = re.compile(r"[a-zà-ÿœ]+", re.IGNORECASE)
FRENCH = frozenset(
    (
        *(
            "vous",
            "votre",
            "vos",
            "est",
            "sont",
            "une",
            "des",
            "pas",
            "avec",
            "dans",
            "pour",
            "sur",
            "être",
            "aux",
        ),
        *("les", "ce", "cette", "cet", "ces", "qui", "que", "plus", "déjà", "trop"),
    )
)
ENGLISH = frozenset(
    (
        *(
            "you",
            "your",
            "the",
            "is",
            "are",
            "was",
            "with",
            "and",
            "for",
            "this",
            "that",
            "which",
            "not",
            "have",
        ),
        *("has", "been", "from", "of", "to", "at"),
    )
)
OPERATORS = ("/ops", "/console")
"""pages that show what programs write, and a guide that is in English"""
ONLY_MANY = 3
"""words of another language that make a sentence of it"""
LABELLED = ("input", "select", "textarea")


def structure(sheet: Sheet) -> Iterator[str]:
    """Title, language, one heading, names of fields, ids once, and what is pointed at is there."""
    root = sheet.root
    title = plain(root.findtext(".//title") or "")
    if not TITLE.fullmatch(title):
        yield f"title {title!r}"
    if sheet.language not in ("fr", "en"):
        yield f"language {sheet.language!r}"
    if (headings := len(list(root.iter("h1")))) != 1:
        yield f"{headings} × h1"
    yield from (f"id {one!r} twice" for one, n in Counter(sheet.ids).items() if n > 1)
    ids, labels = set(sheet.ids), {label.get("for") for label in root.iter("label")}
    for field in root.iter(*LABELLED):
        within = any(parent.tag == "label" for parent in field.iterancestors())
        named = field.get("aria-label") or field.get("aria-labelledby") or within or field.get("id") in labels
        if field.get("type") not in ("hidden", "submit") and not named:
            yield f"field {field.get('name')!r} without a label"
    for attribute in ("aria-describedby", "aria-labelledby", "for", "list"):
        for element in root.iter():
            if isinstance(element.tag, str):
                missing = [one for one in str(element.get(attribute) or "").split() if one not in ids]
                yield from (f"{attribute} of nothing: {one!r}" for one in missing)
    for link in root.iter("a"):
        href = str(link.get("href") or "")
        if href.startswith("#") and len(href) > 1 and href[1:] not in ids:
            yield f"a link to nothing on the page: {href!r}"


def wording(sheet: Sheet, expected: str, typed: str) -> Iterator[str]:
    """The language that was chosen, and no word of a program. `typed`: what the person wrote themselves."""
    if sheet.language != expected:
        yield f"language {sheet.language!r} instead of {expected!r}"
    if sheet.path.startswith(OPERATORS):
        return
    for found in LEFT_OVER.finditer(sheet.words):
        if found[0] not in typed:
            yield f"left over: {sheet.words[max(0, found.start() - 30) : found.end() + 30]!r}"
    yield from (f"a key: {key}" for key in set(KEY.findall(sheet.words)) & keys())
    for language, text in sheet.blocks():
        if text not in typed and is_other(language, text):
            yield f"not in {language!r}: {text[:160]!r}"


def is_other(language: str, text: str) -> bool:
    """Whether a text that says it is in one of the two languages is in the other."""
    if language == "en" and text in sentences("fr") - sentences("en"):
        return True
    words = {word.lower() for word in WORD.findall(text)}
    strange, own = (FRENCH, ENGLISH) if language == "en" else (ENGLISH, FRENCH)
    return len(words & strange) >= ONLY_MANY and len(words & own) < len(words & strange)


@cache
def keys() -> frozenset[str]:
    """The names of all sentences, as far as no sentence has them."""
    catalogues = read_catalogues().values()
    return frozenset(key for wording in catalogues for key in wording.keys if "." in key)


@cache
def sentences(language: str) -> frozenset[str]:
    """The sentences of a language that have no places to fill."""
    catalogue = read_catalogues()["en" if language == "en" else "fr"]
    whole = {plain(str(text)) for text in catalogue._whole.values()}
    return frozenset(text for text in whole if " " in text)


def kept(sheet: Sheet, form: Form, sent: list[tuple[str, str]]) -> Iterator[str]:
    """Whether a refused form still holds what was typed and chosen."""
    now: dict[str, list[str]] = {}
    for shown in (field for one in sheet.forms for field in one.fields):
        now.setdefault(shown.name, []).extend(map(plain, shown.chosen or (shown.value,)))
    for field in form.fields:
        values = [plain(value) for name, value in sent if name == field.name]
        if field.kind == "hidden" or not any(values):
            continue
        lost = [value for value in values if value and value not in now.get(field.name, ())]
        yield from (f"lost: {field.name} = {value[:40]!r}" for value in lost)


def refusal_is_at_a_field(sheet: Sheet) -> bool:
    """Whether a field or the page itself says what is wrong."""
    return any(
        "problem" in str(one.get("class") or "") or one.get("aria-invalid") or one.get("role") == "alert"
        for one in sheet.root.iter()
        if isinstance(one.tag, str)
    )
