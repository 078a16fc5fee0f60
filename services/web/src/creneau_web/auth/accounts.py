"""Converts what a log-in gives to what a session keeps, and back."""

from __future__ import annotations

from creneau_web.auth.facts import Identity, Tokens
from creneau_web.auth.login import LoggedIn
from creneau_web.sessions.session import Account


def account_of(done: LoggedIn) -> Account:
    """The account that a session keeps of a log-in."""
    identity, tokens = done.identity, done.tokens
    return Account(
        subject=identity.subject,
        name=identity.name,
        provider=identity.provider,
        identity=identity.model_dump(mode="json", exclude_defaults=True),
        **tokens.model_dump(),
    )


def identity_of(account: Account) -> Identity | None:
    """The identity that the provider stated; None after a one-time code."""
    return Identity.model_validate(account.identity) if account.identity else None


def tokens_of(account: Account) -> Tokens | None:
    """The tokens of a log-in at a provider; None after a one-time code."""
    if account.id_token is None or account.expires_at is None:
        return None
    return Tokens(
        access_token=account.access_token,
        expires_at=account.expires_at,
        refresh_token=account.refresh_token,
        id_token=account.id_token,
        provider_session=account.provider_session,
    )


def with_tokens(account: Account, tokens: Tokens) -> Account:
    """The same account with other tokens."""
    return account.model_copy(update=tokens.model_dump())
