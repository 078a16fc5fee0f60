"""Seals a session's content by its cookie: who reads the database without the cookies reads no token and no name."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
KEY_BYTES = 32
PURPOSE = b"creneau pages: what a session holds"


class Seal:
    """Made of a cookie's value, which is stored nowhere: its hash finds the row, a key derived from it opens what is there
    (HKDF-SHA256, AES-256-GCM)."""

    def __init__(self, cookie: str) -> None:
        self.key_hash = hashlib.sha256(cookie.encode()).digest()
        derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=PURPOSE)
        self._cipher = AESGCM(derive.derive(cookie.encode()))

    def close(self, plain: bytes, name: str = "") -> bytes:
        """Seals content. `name`: what it is (a draft's id); nothing else can replace it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, name.encode())

    def open(self, sealed: bytes, name: str = "") -> bytes | None:
        """Opens content; None if this cookie has not sealed it under this name."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode())
        except InvalidTag:
            return None
