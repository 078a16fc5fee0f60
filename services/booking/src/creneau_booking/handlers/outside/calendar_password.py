"""The password of a practitioner's own calendar: encrypted when it is received, decrypted only to read that calendar."""

from __future__ import annotations

from creneau_booking.domain.not_read import PasswordLostError
from creneau_booking.handlers.outside.known_outside import Credentials
from creneau_shared.security.sealing import Seal, UnsealableError


class CalendarPasswords:
    """Encrypts with a secret that the API and the worker share; a sealed password works for one agenda and one address."""

    def __init__(self, secret: str) -> None:
        self._seal = Seal(secret, "calendar password") if secret else None

    @property
    def kept(self) -> bool:
        """Whether passwords can be kept at all."""
        return self._seal is not None

    def close(self, credentials: Credentials, schedule: str, url: str) -> str:
        """Encrypts the credentials, for the calendar (URL) of an agenda (id)."""
        assert self._seal is not None
        said = f"{credentials.user}:{credentials.password}"  # no user's name has a colon (RFC 7617 §2)
        return self._seal.close(said.encode(), _bound(schedule, url))

    def open(self, sealed: str, schedule: str, url: str) -> Credentials:
        """Decrypts the result of `close`. Raises PasswordLostError."""
        if self._seal is None:
            raise PasswordLostError("no secret")
        try:
            said = self._seal.open(sealed, _bound(schedule, url)).decode()
        except UnsealableError as error:
            raise PasswordLostError("another secret") from error
        user, _, password = said.partition(":")
        return Credentials(user, password)


def _bound(schedule: str, url: str) -> bytes:
    return f"{schedule} {url}".encode()
