"""`make stop`: ends a running `make run` and waits until it has gone."""

from __future__ import annotations

import sys

from deploy.local.folder import Folder
from deploy.local.lock import stop_holder


def main() -> int:
    """Say what was stopped; 1 when it does not end."""
    try:
        pid = stop_holder(Folder().lock)
    except TimeoutError as error:
        print(error, file=sys.stderr)
        return 1
    print("Créneau was not running." if pid is None else f"Créneau (pid {pid}) has stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
