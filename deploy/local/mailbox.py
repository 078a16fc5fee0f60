"""The local mailbox: SMTP in, a Maildir, and pages to read it. Nothing is ever sent on."""

from __future__ import annotations

import asyncio
import os
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


class Receiver:
    """What aiosmtpd does with a message: keep it."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: object, envelope: Any) -> str:  # noqa: N802 - its name
        """Keep the message with its envelope, so that blind copies are seen too."""
        await asyncio.to_thread(self._store.add, envelope.content, envelope.mail_from, envelope.rcpt_tos)
        return "250 OK"


def accept(store: MailStore) -> SMTP:
    """The protocol of one SMTP connection."""
    return SMTP(Receiver(store), data_size_limit=MESSAGE_BYTES_MAX, enable_SMTPUTF8=True, ident="Creneau")


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
