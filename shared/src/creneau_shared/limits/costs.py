"""The cost of a request in units. docs/guides/integrator.md has the table for integrators.

| | counts for |
|---|---|
| any request | 1 |
| an operation (`$find`, `$hold` …) | 1 more |
| `$send-code`, `$renew-link`, which cost a message | 60 more |
| `$verify-code`, `$open-link`, which allow guessing | 10 more |
| each 16 KiB of body after the first | 1 more; what is decoded or has no declared length, once it is read |
| each entry of a batch or transaction | 1 more, before any is carried out |
| each conditional reference of a transaction, equal ones once | 1 more, before any is searched for |
| each 64 KiB of answer after the first | 1 more, afterwards |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

BODY_BYTES_A_UNIT: Final = 16 * 1024
ANSWER_BYTES_A_UNIT: Final = 64 * 1024
OF_OPERATION: Final[Mapping[str, int]] = {
    "$send-code": 60,
    "$renew-link": 60,
    "$verify-code": 10,
    "$open-link": 10,
}
"""operation → its cost, where that is more than 1"""


def of_request(path: Sequence[str], body_bytes: int) -> int:
    """The cost of a request before its body is read; `body_bytes` as far as known."""
    last = path[-1] if path else ""
    operation = OF_OPERATION.get(last, 1) if last.startswith("$") else 0
    return 1 + operation + body_bytes // BODY_BYTES_A_UNIT


def of_undeclared(body_bytes: int, declared_bytes: int) -> int:
    """The additional cost of a body that turned out longer than declared: it was compressed, or came in chunks."""
    return max(0, body_bytes // BODY_BYTES_A_UNIT - declared_bytes // BODY_BYTES_A_UNIT)


def of_answer(answer_bytes: int) -> int:
    """The additional cost of an answer of this length."""
    return answer_bytes // ANSWER_BYTES_A_UNIT
