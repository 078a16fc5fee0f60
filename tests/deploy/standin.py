"""Stands in for a service or the FHIR process: answers on PORT, as long as nobody kills it.

`/health/ready` is 200; any other path says who answered and what was asked. `migrate` and `assets` end at once. A POST to
`…/$vanish` makes the process end in the middle of the request, as a crash would; a path that ends with `$refuse-409`, or
with it and a file's ending, is answered with that status.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("$vanish"):
            with open(os.environ["VANISH_LOG"], "a") as log:
                log.write("once\n")
            os._exit(3)
        self.answer()

    def answer(self) -> None:
        told = {"who": sys.argv[1:], "path": self.path, "pid": os.getpid(), "headers": dict(self.headers)}
        if self.path.startswith("/fhir/Organization?_summary=count"):
            told["total"] = 1
        body = json.dumps(told).encode()
        _, refuses, status = self.path.partition("$refuse-")
        self.send_response(int(status.partition(".")[0]) if refuses else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


if __name__ == "__main__" and not {"migrate", "assets"} & set(sys.argv):
    ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
