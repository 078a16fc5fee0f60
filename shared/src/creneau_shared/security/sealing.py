"""Text that only who has the secret can read, and that is good for one thing alone: AES-256-GCM."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_KEY_BYTES = 32


class UnsealableError(ValueError):
    """It was not sealed here, or for something else."""


class Seal:
    """Seals text under a key made of a secret that all processes of a service share."""

    def __init__(self, secret: str, purpose: str) -> None:
        """An empty secret makes a random key: what it seals can be opened as long as this process lives."""
        key = secret.encode() or secrets.token_bytes(_KEY_BYTES)
        self._cipher = AESGCM(hmac.digest(key, f"creneau {purpose}".encode(), "sha256"))

    def close(self, content: bytes, bound: bytes) -> str:
        """URL-safe text, good only together with `bound`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, content, bound)).rstrip(b"=").decode()

    def open(self, text: str, bound: bytes) -> bytes:
        """What `close` was given; raises UnsealableError."""
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound)
        except (Base64Error, ValueError, InvalidTag) as error:
            raise UnsealableError from error
