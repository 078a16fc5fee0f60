"""A log-in form, or a way back from a provider, that is sent twice: the person is let in by whichever answer their browser
takes.

The first press gives the session a new key. A browser that drops its answer comes again with the old key and the same form.
For a moment the old key leads to the new one and to nothing else. The new key is sealed by what the form says (the code, the
answer; what the provider wrote into the address). Whoever has put that old key into somebody's browser does not know it, and
one wrong try ends it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from creneau_web.sessions.seal import Seal


class Entered(BaseModel):
    """The form that has let somebody in, and where they went on."""

    model_config = ConfigDict(frozen=True)

    path: str
    """to which it was sent"""
    back: str
    form_key: str | None = None
    """the old session's form key; kept in the new session"""
    key: str | None = None
    """the new session's key, sealed (base64); kept under the old key"""


@dataclass(frozen=True, slots=True)
class SentForm:
    """A form as it was sent: cookie, path, fields (without the session's key) or the query of a way back. `back`: where it
    leads after the log-in."""

    cookie: str
    path: str
    fields: Mapping[str, Any]
    back: str = "/"

    def left(self, key: str) -> Entered:
        """What stays under the old key; `key`: the session's new one."""
        sealed = base64.b64encode(self._seal.close(key.encode(), self.path)).decode()
        return Entered(path=self.path, back=self.back, key=sealed)

    def opens(self, left: Entered) -> str | None:
        """The new key; None if another form had let somebody in."""
        if left.key is None or left.path != self.path:
            return None
        opened = self._seal.open(base64.b64decode(left.key), self.path)
        return opened.decode() if opened is not None else None

    @property
    def _seal(self) -> Seal:
        return Seal(self.cookie + orjson.dumps(self.fields, option=orjson.OPT_SORT_KEYS).decode())
