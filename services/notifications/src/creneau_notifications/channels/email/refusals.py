"""Whether a mail server's refusal is final: of the recipient or the message, and not of whoever hands it over.

A server may say at RCPT what it has against the client, its greeting, its login or the sender (Postfix's
`smtpd_delay_reject`, its default). Those are the deployment's to mend, and its messages wait for it. Reply codes: RFC 5321
§4.2.3, RFC 4954 §6, RFC 7504; enhanced status codes: RFC 3463 and IANA's registry.
"""

from __future__ import annotations

import re

_ENHANCED = re.compile(r"5\.(\d{1,3}\.\d{1,3})(?!\d)")
_OF_RECIPIENT = re.compile(r"1\.([1-6]|10)|[24]\.\d+")
"""mailbox, domain or route; not the sender (1.7, 1.8), the system (3), the protocol (5), a policy or a login (7)"""
_OF_MESSAGE = re.compile(r"6\.\d+|7\.1")
"""the content, and a policy that refuses this message; not the sender's proofs (7.20 and later) nor its login"""
_NAMED_FINAL_AT_RCPT = frozenset({550, 551, 552, 553, 556})
"""reply codes that concern the recipient where no enhanced code says more"""
_NAMED_FINAL_AT_DATA = frozenset({550, 551, 552, 553, 554})


def is_recipient_refused(code: int, text: str) -> bool:
    """Whether the answer to RCPT says that this recipient is not written to, now or later."""
    enhanced = _enhanced(text)
    if enhanced is None:
        return code in _NAMED_FINAL_AT_RCPT
    return code >= 500 and _OF_RECIPIENT.fullmatch(enhanced) is not None


def is_message_refused(code: int, text: str) -> bool:
    """Whether the answer to DATA, or to the message, says that this message is not taken, now or later."""
    enhanced = _enhanced(text)
    if enhanced is None:
        return code in _NAMED_FINAL_AT_DATA
    of_either = _OF_RECIPIENT.fullmatch(enhanced) or _OF_MESSAGE.fullmatch(enhanced)
    return code >= 500 and of_either is not None


def _enhanced(text: str) -> str | None:
    """Subject and detail of the enhanced status code at the beginning, if it is one of a lasting refusal."""
    found = _ENHANCED.match(text)
    return found[1] if found else None
