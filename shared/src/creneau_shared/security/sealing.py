"""Encrypts text so that only holders of the secret can read it, for one purpose: AES-256-GCM."""

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
    """The text was not sealed here, or was sealed for another purpose."""


class Seal:
    """Seals text with a key made from a secret that all processes of a service share."""

    def __init__(self, secret: str, purpose: str) -> None:
        """An empty secret gives a random key: sealed texts can be opened only while this process lives."""
        key = secret.encode() or secrets.token_bytes(_KEY_BYTES)
        self._cipher = AESGCM(hmac.digest(key, f"creneau {purpose}".encode(), "sha256"))

    def close(self, content: bytes, bound: bytes) -> str:
        """The sealed content as URL-safe text, which opens only together with `bound`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, content, bound)).rstrip(b"=").decode()

    def open(self, text: str, bound: bytes) -> bytes:
        """The content that `close` got; raises UnsealableError."""
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound)
        except (Base64Error, ValueError, InvalidTag) as error:
            raise UnsealableError from error
