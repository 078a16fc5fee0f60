"""What people are sent: mails as they came to the mailbox of the running system."""

from __future__ import annotations

import re

from deploy.local.mail_store import MailStore
from deploy.local.ports import wait_until

WITHIN_S = 60.0
LINK = re.compile(r"http://\S+/rdv/[\w-]+")
CODE = re.compile(r"\b\d{6}\b")


class Letters:
    """The mailbox of everybody."""

    def __init__(self, mail: MailStore) -> None:
        self._mail = mail

    def link(self, address: str) -> str:
        """The address at which an appointment is managed, of the latest mail that has one."""
        return self._found(address, LINK, "a link")

    def code(self, address: str) -> str:
        """The latest one-time code."""
        return self._found(address, CODE, "a code")

    def _found(self, address: str, pattern: re.Pattern[str], what: str) -> str:
        found: list[str] = []

        def is_there() -> bool:
            texts = [mail.text for mail in self._mail.newest_first(address)]
            found[:] = [match[0] for text in texts if (match := pattern.search(text))]
            return bool(found)

        wait_until(is_there, within_s=WITHIN_S, what=f"{what} for {address}", every_s=0.1)
        return found[0]
