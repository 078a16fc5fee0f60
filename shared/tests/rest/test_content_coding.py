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


@pytest.mark.parametrize("cut", [0, 1, 30, len(BODY)])
def test_a_gzip_of_several_members_is_all_of_them(cut: int) -> None:
    """As bgzip and parallel compressors write it."""
    members = gzip.compress(BODY[:cut], mtime=0) + gzip.compress(BODY[cut:], mtime=0)
    assert read("gzip", members) == BODY
    assert read("gzip", members * 10, 10 * len(BODY)) == BODY * 10, (
        "its beginnings at any place of what is read at once"
    )


def test_the_members_of_a_gzip_are_too_large_together() -> None:
    with pytest.raises(TooLarge):
        read("gzip", gzip.compress(b" " * 600) * 2)
    assert len(read("gzip", gzip.compress(b" " * 500) * 2)) == 1000


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "nonsense"])
def test_another_coding_is_415_and_says_which_are_read(coding: str) -> None:
    with pytest.raises(UnsupportedMedia) as refusal:
        read(coding, BODY)
    assert refusal.value.headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    "body",
    [
        *(BODY, gzip.compress(BODY, mtime=0)[:-9], zlib.compress(BODY)),
        *(gzip.compress(BODY, mtime=0) + more for more in (b"more", b"\x1f", gzip.compress(BODY)[:-1])),
    ],
)
def test_what_is_not_in_its_coding_is_400(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read("gzip", body)


def test_nothing_follows_what_is_deflated() -> None:
    with pytest.raises(BadRequest):
        read("deflate", zlib.compress(BODY) * 2)


def test_a_small_body_that_holds_a_large_one_is_too_large() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 60_000
    with pytest.raises(TooLarge):
        read("gzip", bomb)
    assert len(read("gzip", gzip.compress(b" " * 1000))) == 1000
