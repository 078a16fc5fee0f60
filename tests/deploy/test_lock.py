"""One run at a time in a folder; ports and secrets that stay."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deploy.local.folder import Folder, keep_once
from deploy.local.lock import AlreadyRunningError, hold, stop_holder


def test_a_second_run_is_told_who_runs(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    told = rf"pid {os.getpid()}\) on http://127.0.0.1:8080"
    with (
        hold(path, "http://127.0.0.1:8080"),
        pytest.raises(AlreadyRunningError, match=told),
        hold(path, "http://127.0.0.1:8081"),
    ):
        pytest.fail("two hold the lock")
    with hold(path, "http://127.0.0.1:8081"):
        pass


def test_stopping_nothing_is_fine(tmp_path: Path) -> None:
    assert stop_holder(tmp_path / "lock") is None
    with hold(tmp_path / "lock", "http://127.0.0.1:8080"):
        pass
    assert stop_holder(tmp_path / "lock") is None


def test_whoever_holds_it_without_a_name_yet_is_waited_for(tmp_path: Path) -> None:
    """It has just begun, or is about to end; process 0 is whoever asks."""
    path = tmp_path / "lock"
    with hold(path, "http://127.0.0.1:8080"), ThreadPoolExecutor(1) as asking:
        path.write_text("")
        asked = asking.submit(stop_holder, path)
        with pytest.raises(TimeoutError):
            asked.result(0.3)
        path.write_text('{"pid": 2147483646}')
        with pytest.raises(ProcessLookupError):
            asked.result()


def test_a_port_is_remembered_until_someone_else_takes_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.create()
    first = folder.free_port("issuer")
    assert Folder(tmp_path).free_port("issuer") == first
    with socket.create_server(("127.0.0.1", first)):
        assert folder.port("issuer") == first, "it runs: this is where"
        other = folder.free_port("issuer")
    assert other != first
    assert folder.port("issuer") == other


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    first = Folder(tmp_path).secret("cursor")
    assert len(first) >= 32
    assert Folder(tmp_path).secret("cursor") == first
    assert Folder(tmp_path).secret("other") != first
    keep_once(tmp_path / "cursor.secret", "something else")
    assert Folder(tmp_path).secret("cursor") == first
