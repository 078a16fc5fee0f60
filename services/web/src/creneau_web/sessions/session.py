"""The session of who browses: kept on the server, behind an opaque cookie."""

from __future__ import annotations

import secrets
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from creneau_web.sessions.entering import Entered
from creneau_web.sessions.seal import Seal
from creneau_web.sessions.unsent import Unsent

Language = Literal["fr", "en", "simple"]

PATIENT = "patient"
BY_LINK = "link"
"""provider of an account that is for one visit: its person came by the link of a message"""

FORM_KEY_BYTES = 16
KEY_BYTES = 24
"""192 random bits in the cookie (OWASP, Session Management, asks for 64)"""


class SessionOverError(Exception):
    """The session has ended, or has another key, since the request was let in."""


class Account(BaseModel):
    """Who has logged in, with the tokens for the FHIR base."""

    model_config = ConfigDict(frozen=True)

    subject: str
    """id of the person at their provider; of a link, the id of its appointment"""
    name: str | None = None
    access_token: str
    expires_at: datetime | None = None
    refresh_token: str | None = None
    id_token: str | None = None
    provider: str = ""
    identity: dict[str, Any] = Field(default_factory=dict)
    """what the provider vouches for, as `auth` writes it"""
    provider_session: str | None = None
    """the provider's id of the log-in, hashed (hexadecimal): the provider can end it by this"""
    contact: str | None = None
    """the e-mail address or number to which a one-time code went, for who has no other account"""

    @property
    def role(self) -> str:
        """The role that the provider states; a patient after a one-time code."""
        return str(self.identity.get("role", PATIENT))

    @property
    def whose(self) -> str:
        """Names the owner of this account's sessions: the same at each log-in, and nobody else's."""
        return f"{self.provider}:{self.subject}"

    @property
    def is_for_one_visit(self) -> bool:
        """Whether it opens the visit of a link, and nothing else that is somebody's own."""
        return self.provider == BY_LINK

    def waits_for_issuer(self, now: datetime) -> bool:
        """Whether its token has ended and could not be renewed. Each page tries that first, which logs out who has ended at
        the issuer."""
        return self.refresh_token is not None and self.expires_at is not None and self.expires_at <= now


class CodeSent(BaseModel):
    """Where a one-time code went, and where the person goes on once they have typed it."""

    model_config = ConfigDict(frozen=True)

    system: Literal["email", "phone"]
    value: str
    back: str = "/"
    minutes: int | None = None
    """how long it works, full minutes from its sending"""


class Kept(BaseModel):
    """What stays after an erasure."""

    model_config = ConfigDict(frozen=True)

    why: str
    """in the words of the base"""
    until: date | None = None
    """None: for ever"""


class Erased(BaseModel):
    """The receipt of an erasure. It names nobody."""

    model_config = ConfigDict(frozen=True)

    language: str
    """in which the base spoke"""
    cancelled: int = 0
    """appointments that were to come"""
    told: bool = False
    """whether a message says so"""
    kept: tuple[Kept, ...] = ()


class Content(BaseModel):
    """What a session holds beside its keys; one JSON document, sealed."""

    language: Language | None = None
    account: Account | None = None
    former: str | None = None
    """owner of this content once their token has ended (`Account.whose`): it waits for them alone"""
    login: dict[str, Any] | None = None
    """a log-in that was begun: what `auth` must find again when the person comes back"""
    code: CodeSent | None = None
    """a one-time code that was sent"""
    link: str | None = None
    """the token of a message's link: out of the address as soon as it has been opened"""
    invited: dict[str, str] = Field(default_factory=dict)
    """the last invitation: for whom (`who`), to whom (`name`; empty: to themselves), its `code`, which the base tells once,
    its end (`expires`) and its `wish`"""
    taken_up: str | None = None
    """SHA-256 (hexadecimal) of the last invitation code that was taken up: it may be sent once more"""
    console: dict[str, str] = Field(default_factory=dict)
    """what calls made from the console have learnt (ids of a demonstration's resources)"""
    erased: Erased | None = None
    """what was erased last, to be read by whoever did it; they may have no account any more"""
    leave: str | None = None
    """where to log out at the provider, after the account has ended or was erased"""
    said: str | None = None
    """key of a sentence for the next page, said once"""
    entered: Entered | None = None
    """the last form that logged somebody in: it may be sent once more"""
    unsent: Unsent | None = None
    """what was typed into a page's form and not sent: the language was changed, or a log-in came in between"""

    @property
    def whose(self) -> str | None:
        """The account of the present or the last log-in; None before any."""
        return self.account.whose if self.account else self.former

    @property
    def is_for_one_visit(self) -> bool:
        """Whether whoever was there last came by a link."""
        return (self.whose or "").startswith(f"{BY_LINK}:")

    def logged_out(self, account: Account, leave: str | None = None) -> Content:
        """The content without this account: its token has ended. `leave`: where to log out at the provider. Unchanged if
        there is another token by now."""
        if self.account is None or self.account.access_token != account.access_token:
            return self
        return self.model_copy(update={"account": None, "former": self.whose, "leave": leave})


class Session:
    """A stored session. `key` is there only while the cookie has yet to be sent."""

    def __init__(self, seal: Seal, form_key: str, content: Content, key: str | None = None) -> None:
        self.seal = seal
        self.form_key = form_key
        self.content = content
        self.read = content
        """what is stored, as this request saw it last"""
        self.key = key

    @classmethod
    def new(cls, content: Content) -> Session:
        """A session under a key that nobody has yet."""
        key = new_key()
        return cls(Seal(key), secrets.token_urlsafe(FORM_KEY_BYTES), content, key)

    def renew(self, other: Session) -> Session:
        """Takes the keys and the content of another, under which it is stored now. Returns itself."""
        self.content = self.read = other.content
        self.seal, self.form_key, self.key = other.seal, other.form_key, other.key
        return self

    def changes(self) -> dict[str, Any]:
        """Fields that this request has changed and not stored yet → new values."""
        return {
            name: value for name in Content.model_fields
            if (value := getattr(self.content, name)) != getattr(self.read, name)
        }  # fmt: skip

    @property
    def key_hash(self) -> bytes:
        """The key of its row."""
        return self.seal.key_hash

    @property
    def account(self) -> Account | None:
        return self.content.account


def new_key() -> str:
    """What a new cookie holds."""
    return secrets.token_urlsafe(KEY_BYTES)
