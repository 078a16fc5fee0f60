"""A port that was given to one process is given to no other, although nobody listens there yet."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from deploy.local import ports
from deploy.local.ports import free_port

ONE_PORT = """
from deploy.local import ports
ports.FIRST_PORT = ports.LAST_PORT = {port}
print(ports.free_port())
"""


def test_no_other_process_is_given_it_until_this_one_ends() -> None:
    mine = free_port()
    other = [sys.executable, "-c", ONE_PORT.format(port=mine)]
    assert subprocess.run(other, capture_output=True, check=False).returncode != 0
    theirs = [sys.executable, "-c", "from deploy.local.ports import free_port; print(free_port())"]
    ended = subprocess.run(theirs, capture_output=True, check=True)
    again = [sys.executable, "-c", ONE_PORT.format(port=int(ended.stdout))]
    assert subprocess.run(again, capture_output=True, check=True).stdout == ended.stdout


def test_nor_is_it_given_twice_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = free_port()
    monkeypatch.setattr(ports, "FIRST_PORT", mine)
    monkeypatch.setattr(ports, "LAST_PORT", mine)
    with pytest.raises(RuntimeError):
        free_port()


def test_numbers_that_begin_anew_are_not_where_ports_come_from() -> None:
    """Property tests set them, alike in each process."""
    random.seed(1)
    first = [free_port() for _ in range(3)]
    random.seed(1)
    assert first != [free_port() for _ in range(3)]
