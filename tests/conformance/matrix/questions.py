"""A question is one way of one caller to ask, with what its answer says and what it should say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.conformance.matrix.expectation import Caller, Expectation

PARALLEL = 8
PAGES_MAX = 60
TIMEOUT_S = 60.0

Found = Mapping[str, Any]
"""What was asked about → what came of it: a status, or the names of what was shown."""


@dataclass(frozen=True)
class Question:
    """`read` says what came of it from the answer and those to its next pages; `expected` what should have."""

    caller: Caller
    way: str
    method: str
    url: str
    read: Callable[[Sequence[httpx.Response]], Found]
    expected: Callable[[Expectation], Found]
    json: Any = None
    form: Sequence[tuple[str, str]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    also: Question | None = None
    """what is asked after it, its answer being read as the second"""


@dataclass(frozen=True)
class Difference:
    caller: str
    way: str
    what: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        if isinstance(self.expected, frozenset) and isinstance(self.found, frozenset):
            leaked, missing = self.found - self.expected, self.expected - self.found
            said = f"LEAK {sorted(leaked)} " * bool(leaked) + f"missing {sorted(missing)}" * bool(missing)
        else:
            said = f"expected {_short(self.expected)}, found {_short(self.found)}"
        return f"{self.caller:24} {self.way:28} {self.what:34} {said}"


def _short(value: Any) -> str:
    return str(sorted(value) if isinstance(value, frozenset) else value)[:300]


class Asker:
    """Asks many questions at the same time, at the gateway or within this process (`transport`)."""

    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._base_url = base_url
        self._transport = transport

    def ask(self, questions: Iterable[Question]) -> list[tuple[Question, Found]]:
        """Each question with what came of it."""
        return asyncio.run(self.ask_all(list(questions)))

    async def ask_all(self, questions: Sequence[Question]) -> list[tuple[Question, Found]]:
        """As `ask`, within a loop."""
        places = asyncio.Semaphore(PARALLEL)
        async with httpx.AsyncClient(
            base_url=self._base_url, transport=self._transport, timeout=TIMEOUT_S
        ) as client:

            async def one(question: Question) -> tuple[Question, Found]:
                async with places:
                    return question, question.read(await _answers(client, question))

            return await asyncio.gather(*(one(question) for question in questions))


async def _answers(client: httpx.AsyncClient, question: Question) -> list[httpx.Response]:
    """Its answer, with those to its next pages or to what is asked after it."""
    form = {"Content-Type": "application/x-www-form-urlencoded"} if question.form is not None else {}
    headers = {**question.caller.headers, **form, **question.headers}
    answer = await client.request(
        question.method,
        question.url,
        json=question.json,
        content=urlencode(question.form) if question.form is not None else None,
        headers=headers,
    )
    answers = [answer]
    if question.also is not None:
        return [answer, *await _answers(client, question.also)]
    while (following := next_page(answers[-1])) is not None:
        assert len(answers) < PAGES_MAX, question
        answers.append(await client.get(following, headers=headers))
    return answers


def next_page(answer: httpx.Response) -> str | None:
    if answer.status_code != 200 or b'"next"' not in answer.content:
        return None
    links = answer.json().get("link", ())
    return next((link["url"] for link in links if link["relation"] == "next"), None)


def differences(
    asked: Iterable[tuple[Question, Found]], expectation: Expectation | None = None
) -> list[Difference]:
    """Where an answer is not what the table says."""
    table = expectation or Expectation()
    found: list[Difference] = []
    for question, answered in asked:
        expected = question.expected(table)
        found += [
            Difference(question.caller.name, question.way, what, expected.get(what), answered.get(what))
            for what in {**expected, **answered}
            if expected.get(what) != answered.get(what)
        ]
    return found


def told(found: Sequence[Difference], most: int = 80) -> str:
    """All differences at once, to be read."""
    lines = [str(difference) for difference in found[:most]]
    return "\n".join([f"{len(found)} differences between the table and the answers:", *lines])
