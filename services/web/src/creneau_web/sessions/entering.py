"""A form that let somebody in, sent once more: whoever presses twice is let in by whichever answer their browser takes.

The first press gives the session another key. A browser that drops its answer keeps the old one, and comes with it and with
the same form: under the old key there is for a moment nothing but the new one, sealed by what the form says (the code, the
answer). Whoever has put that old key into somebody's browser does not know it, and one wrong try ends it.
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
    """of the session as it was before; in the one that it became"""
    key: str | None = None
    """of the session that it became, sealed (base64); in what is left under the old key"""


@dataclass(frozen=True, slots=True)
class SentForm:
    """A form as it was sent: by which cookie, to which path, with which fields (without the session's key); `back`: where it
    leads whom it lets in."""

    cookie: str
    path: str
    fields: Mapping[str, Any]
    back: str = "/"

    def left(self, key: str) -> Entered:
        """What stays under the old key of the session that has this one now."""
        sealed = base64.b64encode(self._seal.close(key.encode(), self.path)).decode()
        return Entered(path=self.path, back=self.back, key=sealed)

    def opens(self, left: Entered) -> str | None:
        """The key that it leads to; None where it is another form than the one that let somebody in."""
        if left.key is None or left.path != self.path:
            return None
        opened = self._seal.open(base64.b64decode(left.key), self.path)
        return opened.decode() if opened is not None else None

    @property
    def _seal(self) -> Seal:
        return Seal(self.cookie + orjson.dumps(self.fields, option=orjson.OPT_SORT_KEYS).decode())
