"""The template engine: everything escaped, nothing undefined let through."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

from creneau_shared.contact_points import readable_phone
from creneau_web.sessions.forms import FIELD
from creneau_web.settings import WebSettings
from creneau_web.wording import LANGUAGES, Wording


def _hour(start: datetime, wording: Wording) -> str:
    return wording.hour(start)


def _moment(start: datetime, wording: Wording) -> str:
    return wording.moment(start)


def template_engine(settings: WebSettings, theme: Path | None = None) -> Environment:
    """Templates of the package; those of a theme (`parts/header.html` …) stand before them."""
    package = PackageLoader("creneau_web", "templates")
    loader = ChoiceLoader([FileSystemLoader(theme / "templates"), package]) if theme else package
    engine = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # As filters: in a template, a hundred calls of a method cost more than what the method does.
    engine.filters.update(national=readable_phone, hour=_hour, moment=_moment)
    engine.policies["json.dumps_kwargs"] = {}  # problems stay in the order of their fields
    engine.globals.update(settings=settings, languages=LANGUAGES, FORM_KEY=FIELD)
    return engine


def compile_all(engine: Environment) -> None:
    """Compiles every template now, so that nobody waits later; a faulty one ends the process at its start."""
    for name in engine.list_templates(extensions=["html"]):
        engine.get_template(name)
