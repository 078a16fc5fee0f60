"""Every sentence of the pages, from one gettext catalogue a language: French, English, simple French.

Keys are names (`results.none`), not sentences, so that the three languages stand beside each other as equals.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from functools import lru_cache
from importlib.resources import files
from io import BytesIO

from babel.core import Locale
from babel.dates import format_date, format_time
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from markupsafe import Markup

from creneau_web.sessions.session import Language

LANGUAGES: tuple[Language, ...] = ("fr", "en", "simple")
TAGS: Mapping[Language, str] = {"fr": "fr", "en": "en", "simple": "fr"}
"""language of the words, as `lang` says it; the simple version is French"""

_FIRST = re.compile(r"\b1 ")
_BEFORE = re.compile(r" (?=[:;?!»])")


class Wording:
    """The sentences and the dates of one language."""

    def __init__(self, language: Language, catalog: Catalog) -> None:
        self.language: Language = language
        self.tag = TAGS[language]
        ids = (message.id for message in catalog if message.id)
        self.keys = frozenset(id_ if isinstance(id_, str) else id_[0] for id_ in ids)
        if self.tag == "fr":
            _set_french_spaces(catalog)
        buffer = BytesIO()
        write_mo(buffer, catalog)
        buffer.seek(0)
        self._messages = gettext.GNUTranslations(buffer)

    def t(self, key: str, /, **values: object) -> Markup:
        """The sentence of a key, `values` put in and escaped. KeyError for a key that there is not."""
        if key not in self.keys:
            raise KeyError(key)
        return Markup(self._messages.gettext(key)).format(**values)  # noqa: S704 - our own catalogue; values are escaped

    def tn(self, key: str, n: int, /, **values: object) -> Markup:
        """The sentence of a key for a number of things."""
        if key not in self.keys:
            raise KeyError(key)
        return Markup(self._messages.ngettext(key, key, n)).format(n=n, **values)  # noqa: S704 - as above

    def has(self, key: str) -> bool:
        """Whether there is a sentence of this key."""
        return key in self.keys

    def day(self, moment: date | datetime, *, year: bool = False) -> str:
        """`jeudi 4 décembre`, `Thursday 4 December`; with its year, as of a birth, `4 décembre 1984`."""
        return _day(moment.date() if isinstance(moment, datetime) else moment, self.tag, year)

    def hour(self, moment: datetime | time) -> str:
        """`9 h 20`, `9:20 am`."""
        if self.tag == "fr":
            return f"{moment.hour} h {moment.minute:02d}" if moment.minute else f"{moment.hour} h"
        return format_time(
            moment if isinstance(moment, time) else moment.time(), "h:mm a", locale="en"
        ).lower()

    def clock(self, text: str) -> str:
        """`09:20` as this language writes it."""
        return self.hour(time.fromisoformat(text))

    def moment(self, moment: datetime) -> str:
        """`jeudi 4 décembre à 9 h 20`."""
        return str(self.t("when.moment", day=self.day(moment), hour=self.hour(moment)))

    def weekday(self, code: str) -> str:
        """FHIR's day (`mon`) by name."""
        names = Locale(self.tag).days["format"]["wide"]
        return str(names[("mon", "tue", "wed", "thu", "fri", "sat", "sun").index(code)])


def _set_french_spaces(catalog: Catalog) -> None:
    """No line begins with `:` or `?`, none ends with `«`: the spaces there do not break."""
    for message in catalog:
        text = message.string
        message.string = (
            tuple(map(_unbroken, text)) if isinstance(text, tuple | list) else _unbroken(text or "")
        )


def _unbroken(text: str) -> str:
    return _BEFORE.sub("\u00a0", text).replace("« ", "«\u00a0")


@lru_cache(maxsize=4096)
def _day(day: date, tag: str, year: bool) -> str:
    pattern = "d MMMM y" if year else "EEEE d MMMM"
    text = format_date(day, pattern, locale="en_GB" if tag == "en" else tag)
    return _FIRST.sub("1er ", text, count=1) if tag == "fr" and day.day == 1 else text


def read_catalogues() -> dict[Language, Wording]:
    """The three languages, from the package's own files."""
    folder = files("creneau_web").joinpath("locale")
    found: dict[Language, Wording] = {}
    for language in LANGUAGES:
        with folder.joinpath(f"{language}.po").open("rb") as file:
            found[language] = Wording(language, read_po(file, locale=TAGS[language]))
    return found
