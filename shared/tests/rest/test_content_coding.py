"""A compressed body is read for what it is, or refused for what is wrong with it; it cannot be a bomb."""

from __future__ import annotations

import gzip
import zlib

import pytest

from creneau_shared.errors import BadRequest, TooLarge, UnsupportedMedia
from creneau_shared.fhir.rest.content_coding import decoded

BODY = '{"resourceType": "Patient", "name": [{"family": "Éluard"}]}'.encode()
TOO_LARGE = TooLarge("trop", "too much")


def read(coding: str, body: bytes, bytes_max: int = 1000) -> bytes:
    return decoded(coding, body, TOO_LARGE, bytes_max)


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_what_is_not_compressed_is_left(coding: str) -> None:
    assert read(coding, BODY) == BODY


def test_gzip_and_deflate_are_read() -> None:
    assert read("gzip", gzip.compress(BODY, mtime=0)) == BODY
    assert read("X-GZIP", gzip.compress(BODY, mtime=0)) == BODY
    assert read("deflate", zlib.compress(BODY)) == BODY
    assert read("gzip", b"") == b""


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "nonsense"])
def test_another_coding_is_415_and_says_which_are_read(coding: str) -> None:
    with pytest.raises(UnsupportedMedia) as refusal:
        read(coding, BODY)
    assert refusal.value.headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    "body",
    [BODY, gzip.compress(BODY, mtime=0)[:-9], gzip.compress(BODY, mtime=0) + b"more", zlib.compress(BODY)],
)
def test_what_is_not_in_its_coding_is_400(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read("gzip", body)


def test_a_small_body_that_holds_a_large_one_is_too_large() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 60_000
    with pytest.raises(TooLarge):
        read("gzip", bomb)
    assert len(read("gzip", gzip.compress(b" " * 1000))) == 1000
