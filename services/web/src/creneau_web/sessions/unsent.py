"""Keeps what was typed into a page's form when the language was changed or a log-in came first: the page shows it again."""

from __future__ import annotations

from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Typed = TypeVar("Typed", bound=BaseModel)


class Unsent(BaseModel):
    """One form of one page."""

    model_config = ConfigDict(frozen=True)

    page: str = ""
    """its address, without the origin"""
    fields: dict[str, list[str]] = Field(default_factory=dict)
    """name → values, as they were sent"""
    problems: dict[str, str] = Field(default_factory=dict)
    """field → key of what the page had said is wrong with it"""

    def text(self, name: str, otherwise: str = "") -> str:
        """The value of one field; `otherwise` if nothing was kept."""
        return self.fields[name][-1] if self.fields.get(name) else otherwise

    def read(self, form: type[Typed]) -> Typed | None:
        """The fields as a form's model; None if nothing was kept, or another form's."""
        if not self.fields:
            return None
        typed: dict[str, Any] = {}
        for name, field in form.model_fields.items():
            values = self.fields.get(field.alias or name)
            if values:
                typed[field.alias or name] = values if get_origin(field.annotation) is list else values[-1]
        try:
            return form.model_validate(typed)
        except ValidationError:
            return None


NOTHING_UNSENT = Unsent()
