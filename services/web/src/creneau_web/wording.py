"""Every sentence of the pages, from one gettext catalogue a language: French, English, simple French.

Keys are names (`results.none`), not sentences, so that the three languages stand beside each other as equals.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable, Mapping
from copy import copy
from datetime import date, datetime, time
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from string import Formatter
from zoneinfo import ZoneInfo

from babel.core import Locale
from babel.dates import get_timezone_location
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from markupsafe import Markup, escape

from creneau_shared import spoken_time
from creneau_web.sessions.session import Language

LANGUAGES: tuple[Language, ...] = ("fr", "en", "simple")
TAGS: Mapping[Language, spoken_time.Language] = {"fr": "fr", "en": "en", "simple": "fr"}
"""language of the words, as `lang` says it; the simple version is French"""

WITHOUT_TEXTS = ".without_texts"

_BEFORE = re.compile(r" (?=[:;?!»])")


class Wording:
    """The sentences and the dates of one language. Without text messages (`sends_texts`), the version of a sentence for that
    (`….without_texts`) replaces it, if there is one."""

    def __init__(self, language: Language, catalog: Catalog, *, sends_texts: bool = True) -> None:
        self.language: Language = language
        self.tag = TAGS[language]
        ids = (message.id for message in catalog if message.id)
        self.keys = frozenset(id_ if isinstance(id_, str) else id_[0] for id_ in ids)
        if not sends_texts:
            _leave_texts_out(catalog)
        if self.tag == "fr":
            _set_french_spaces(catalog)
        buffer = BytesIO()
        write_mo(buffer, catalog)
        buffer.seek(0)
        self._messages = gettext.GNUTranslations(buffer)
        texts = {key: self._messages.gettext(key) for key in self.keys}
        self._whole = {key: Markup(text.format()) for key, text in texts.items() if "{" not in text}  # noqa: S704 - our own
        self._this_year: Callable[[], int] | None = None

    def at(self, this_year: Callable[[], int]) -> Wording:
        """The same words for a reader in that year: a moment in another year names its year."""
        dated = copy(self)
        dated._this_year = this_year
        return dated

    def t(self, key: str, /, **values: object) -> Markup:
        """The sentence of a key, `values` put in and escaped. KeyError for a key that there is not."""
        whole = self._whole.get(key)
        if whole is not None:
            return whole
        if key not in self.keys:
            raise KeyError(key)
        return _filled(self._messages.gettext(key), values)

    def tn(self, key: str, n: int, /, **values: object) -> Markup:
        """The sentence of a key for a number of things."""
        if key not in self.keys:
            raise KeyError(key)
        return _filled(self._messages.ngettext(key, key, n), {"n": n, **values})

    def has(self, key: str) -> bool:
        """Whether there is a sentence of this key."""
        return key in self.keys

    def day(self, moment: date | datetime, *, year: bool = False) -> str:
        """`jeudi 4 décembre`, `Thursday 4 December`; with its year, as of a birth, `4 décembre 1984`."""
        of = moment.date() if isinstance(moment, datetime) else moment
        return spoken_time.day(of, self.tag, weekday=not year, year=year)

    def hour(self, moment: datetime | time) -> str:
        """`9 h 20`, `9:20 am`; no line ends within it. An hour that the clock shows twice says which of both it is."""
        return spoken_time.hour(moment, self.tag)

    def clock(self, text: str) -> str:
        """`09:20` as this language writes it."""
        return self.hour(time.fromisoformat(text))

    def moment(self, moment: datetime) -> str:
        """`jeudi 4 décembre à 9 h 20`; in another year than the present one `jeudi 4 décembre 2025 à 9 h 20`."""
        other_year = self._this_year is not None and moment.year != self._this_year()
        return Markup(spoken_time.moment(moment, self.tag, year=other_year))  # noqa: S704 - names of days and months

    def city(self, zone: ZoneInfo) -> str:
        """The name of a zone: `La Réunion`."""
        return get_timezone_location(zone, locale=Locale(self.tag), return_city=True)

    def weekday(self, code: str) -> str:
        """FHIR's day (`mon`) by name."""
        return spoken_time.WEEKDAYS[self.tag][("mon", "tue", "wed", "thu", "fri", "sat", "sun").index(code)]


def _filled(text: str, values: Mapping[str, object]) -> Markup:
    """A sentence of ours with values put in, escaped. KeyError for a placeholder without a value."""
    parts = [part if name is None else f"{part}{escape(values[name])}" for part, name in _parts(text)]
    return Markup("".join(parts))  # noqa: S704 - our own catalogue; values are escaped


@lru_cache(maxsize=2048)
def _parts(text: str) -> tuple[tuple[str, str | None], ...]:
    """The text before each placeholder of a sentence, and its name; None at the end."""
    return tuple((before, name) for before, name, _, _ in Formatter().parse(text))


def _leave_texts_out(catalog: Catalog) -> None:
    for message in catalog:
        without = catalog.get(f"{message.id}{WITHOUT_TEXTS}") if isinstance(message.id, str) else None
        if message.id and without is not None:
            message.string = without.string


def _set_french_spaces(catalog: Catalog) -> None:
    """No line begins with `:` or `?`, none ends with `«`: the spaces there do not break."""
    for message in catalog:
        text = message.string
        message.string = (
            tuple(map(_unbroken, text)) if isinstance(text, tuple | list) else _unbroken(text or "")
        )


def _unbroken(text: str) -> str:
    return _BEFORE.sub("\u00a0", text).replace("« ", "«\u00a0")


@cache
def read_catalogues(*, sends_texts: bool = True) -> Mapping[Language, Wording]:
    """The three languages, from the package's own files; read once. `sends_texts`: whether the deployment does."""
    folder = files("creneau_web").joinpath("locale")
    found: dict[Language, Wording] = {}
    for language in LANGUAGES:
        with folder.joinpath(f"{language}.po").open("rb") as file:
            found[language] = Wording(language, read_po(file, locale=TAGS[language]), sends_texts=sends_texts)
    return found
