"""The templates: the two of a letter, and the page that a letter may lead to."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from creneau_notifications.rendering.letter import Letter

_environment = Environment(
    loader=PackageLoader("creneau_notifications.rendering"),
    autoescape=select_autoescape(enabled_extensions=("html.j2",), default_for_string=True),
    undefined=StrictUndefined,
    auto_reload=False,
    keep_trailing_newline=True,
)
_text = _environment.get_template("message.txt.j2")
_html = _environment.get_template("message.html.j2")
_page = _environment.get_template("confirmation.html.j2")


def as_text(letter: Letter) -> str:
    """The letter as plain text."""
    return _text.render(letter=letter)


def as_html(letter: Letter) -> str:
    """The letter as one HTML page without scripts, images or anything fetched from elsewhere."""
    return _html.render(letter=letter)


def as_page(**values: object) -> str:
    """The page on which an address is confirmed."""
    return _page.render(**values)
