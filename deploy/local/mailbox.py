"""The local mailbox: SMTP in, a Maildir, and pages to read it. Nothing is ever sent on."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from typing import Any

import uvicorn
from aiosmtpd.smtp import SMTP

from creneau_shared.http.serving import CalmServer
from creneau_shared.worker import run
from deploy.local.folder import Folder
from deploy.local.mail_pages import create_app
from deploy.local.mail_store import MailStore
from deploy.local.ports import LOOPBACK

MESSAGE_BYTES_MAX = 10 * 1024 * 1024
LINE_END, TEXT_END = b"\r\n", b"\r\n.\r\n"
_PATH = re.compile(
    r"<([\w+-]+(?:\.[\w+-]+)*@[a-z0-9-]+(?:\.[a-z0-9-]+)*)>(?: +(\S.*))?", re.ASCII | re.IGNORECASE
)
"""an address of the usual form as commands have it, and the parameters behind it"""


class Receiver:
    """The aiosmtpd handler: keeps each message."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: object, envelope: Any) -> str:  # noqa: N802 - its name
        """Keep the message with its envelope, so that blind copies are seen too. In this thread: to ask another takes
        longer."""
        self._store.add(envelope.content, envelope.mail_from, envelope.rcpt_tos)
        return "250 OK"


class Session(SMTP):
    """One SMTP connection. Reads the text of a message in few pieces, and a usual address by a pattern. Reading line by
    line, and addresses with a parser for any header, is most of a message's cost."""

    line_length_limit = MESSAGE_BYTES_MAX

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """The address of a command, and its parameters."""
        plain = _PATH.fullmatch(arg)
        if plain is not None:
            return plain[1], plain[2] or ""
        address: tuple[str | None, str | None] = super()._getaddr(arg)
        return address

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - its name
        """Take a message. The library refuses a DATA out of turn."""
        if arg or self.envelope is None or not self.envelope.rcpt_tos:
            await super().smtp_DATA(arg)
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        text = LINE_END  # so that an empty text ends as others do
        with suppress(asyncio.LimitOverrunError):
            while not text.endswith(TEXT_END) and len(text) <= self.line_length_limit:
                text += await self._reader.readuntil(b".\r\n")
        if not text.endswith(TEXT_END):
            await self.push("552 Error: Too much mail data")
            self._writer.close()
            return
        self.envelope.content = text.replace(LINE_END + b"..", LINE_END + b".")[len(LINE_END) : -3]
        self.envelope.original_content = self.envelope.content
        status = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(status)


def accept(store: MailStore) -> SMTP:
    """The protocol of one SMTP connection."""
    return Session(Receiver(store), data_size_limit=MESSAGE_BYTES_MAX, enable_SMTPUTF8=True, ident="Creneau")


async def serve(store: MailStore, smtp_port: int, http_port: int) -> None:
    """Serve SMTP and the pages on the loopback until told to stop."""
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: accept(store), LOOPBACK, smtp_port)
    config = uvicorn.Config(
        create_app(store), host=LOOPBACK, port=http_port, log_level="warning", access_log=False
    )
    async with listener:
        await CalmServer(config).serve()


def main() -> None:
    """Serve at the ports in the environment."""
    store = MailStore(Folder().mail)
    run(serve(store, int(os.environ["SMTP_PORT"]), int(os.environ["PORT"])))


if __name__ == "__main__":
    main()
