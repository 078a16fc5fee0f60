"""The yardstick: pgbench doing the same rows, as one prepared statement, on the same server in the same minute."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

_STRING = re.compile(r"'((?:[^']|'')*)'")
_TPS = re.compile(r"tps = ([\d.]+)")


def pgbench(binary: Path, url: str, script: str, *, seconds: int, clients: int) -> float:
    """Transactions a second of `script` (pgbench's language) with prepared statements."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.sql"
        path.write_text(_STRING.sub(_without_colons, script))
        path.chmod(0o644)
        done = subprocess.run(
            [
                str(binary),
                "-n",
                "-M",
                "prepared",
                "-c",
                str(clients),
                "-j",
                "1",
                "-T",
                str(seconds),
                "-f",
                str(path),
                url,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    found = _TPS.search(done.stdout)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"pgbench failed: {done.stdout[-500:]} {done.stderr[-2000:]}")
    return float(found[1])


def _without_colons(string: re.Match[str]) -> str:
    """An SQL string in which pgbench sees no variable of its own: `'a:b'` → `U&'a\\003Ab'`."""
    if ":" not in string[1]:
        return string[0]
    escaped = string[1].replace("\\", "\\\\").replace(":", "\\003A")
    return f"U&'{escaped}'"
