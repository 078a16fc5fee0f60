"""The HTML checker of the W3C (vnu.jar, in Java, from npm) on saved pages: once for all of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fixtures.broker import REPOSITORY

VERSION = "26.9.27"
KEPT = REPOSITORY / ".creneau" / "html-checker"
FETCHED_WITHIN_S = 180


def checker() -> Path:
    """vnu.jar, fetched once; skips loudly where that is not possible."""
    jar = KEPT / VERSION / "vnu.jar"
    if not shutil.which("java") or not (jar.exists() or shutil.which("npm")):
        pytest.skip("NO HTML CHECKER: the markup was not checked; it needs Java and npm (vnu-jar)")
    if not jar.exists():
        jar.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            done = subprocess.run(
                ["npm", "pack", f"vnu-jar@{VERSION}"],
                cwd=folder, capture_output=True, text=True, check=False, timeout=FETCHED_WITHIN_S,
            )  # fmt: skip
            if done.returncode:
                pytest.skip(f"NO HTML CHECKER: npm could not fetch vnu-jar: {done.stderr[-300:]}")
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
                member = next(name for name in package.getnames() if name.endswith("/vnu.jar"))
                package.extract(member, folder, filter="data")
            (Path(folder) / member).rename(jar)
    return jar


def problems_of(pages: Mapping[str, str]) -> list[str]:
    """Errors and warnings on pages (name → HTML)."""
    jar = checker()
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for number, (name, html) in enumerate(pages.items()):
            file = f"{number:03d}.html"
            names[file] = name
            Path(folder, file).write_text(html)
        done = subprocess.run(
            ["java", "-Xss2m", "-jar", str(jar), "--format", "json", "--skip-non-html", folder],
            capture_output=True, text=True, check=False, timeout=FETCHED_WITHIN_S,
        )  # fmt: skip
    messages = json.loads(done.stderr)["messages"]
    return [
        f"{names[Path(message['url']).name]}: {message['message']} – {message.get('extract', '')}"
        for message in messages
        if message["type"] == "error" or message.get("subType") == "warning"
    ]
