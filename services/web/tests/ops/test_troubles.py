"""Since when what is bad is so: kept in the pages' database."""

from __future__ import annotations

from services.web.tests.conftest import NOW

from creneau_web.app import WebApplication
from creneau_web.storage.troubles import Troubles

AT = NOW.timestamp()


async def test_what_goes_on_is_read_and_what_ended_is_over(app: WebApplication) -> None:
    troubles = Troubles(app.database)
    assert await troubles.read(AT) == ({}, None)
    await troubles.write({"a": AT - 60, "b": AT - 30}, AT)
    await troubles.write({"a": AT - 60}, AT + 10)
    assert await troubles.read(AT) == ({"a": AT - 60}, AT + 10)


async def test_what_comes_back_began_when_it_came_back(app: WebApplication) -> None:
    troubles = Troubles(app.database)
    await troubles.write({"a": AT - 60}, AT)
    await troubles.write({}, AT + 10)
    await troubles.write({"a": AT + 20}, AT + 20)
    assert await troubles.read(AT) == ({"a": AT + 20}, None)


async def test_what_nobody_has_looked_at_for_long_is_not_said_to_go_on(app: WebApplication) -> None:
    """The page does not know what was in between."""
    troubles = Troubles(app.database)
    await troubles.write({"a": AT - 60}, AT)
    assert await troubles.read(AT + 1) == ({}, AT)
