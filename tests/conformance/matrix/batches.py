"""Questions as entries of batches: they go the same way through the services, at a fraction of the cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import httpx

from tests.conformance.matrix.expectation import Expectation
from tests.conformance.matrix.questions import Found, Question

CONDITIONS = {"If-Match": "ifMatch", "If-None-Match": "ifNoneMatch", "If-None-Exist": "ifNoneExist"}
ENTRIES_MAX = 200


def in_batches(questions: Iterable[Question]) -> Iterator[Question]:
    """The same questions as entries of batches; those that go on to next pages, or send a form, cannot be."""
    of_caller: dict[str, list[Question]] = {}
    for question in questions:
        of_caller.setdefault(question.caller.name, []).append(question)
    for asked in of_caller.values():
        for start in range(0, len(asked), ENTRIES_MAX):
            yield _batch(asked[start : start + ENTRIES_MAX])


def _batch(asked: list[Question]) -> Question:
    def read(answers: Sequence[httpx.Response]) -> Found:
        answered = [as_answer(entry) for entry in answers[0].json()["entry"]]
        return _together(
            (question, question.read([answer])) for question, answer in zip(asked, answered, strict=True)
        )

    def expected(table: Expectation) -> Found:
        return _together((question, question.expected(table)) for question in asked)

    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry_of(question) for question in asked]}
    return Question(asked[0].caller, "in a batch", "POST", "", read, expected, json=bundle)


def entry_of(question: Question) -> dict[str, Any]:
    """The entry of a batch that asks the question."""
    request = {"method": question.method, "url": question.url.removeprefix("/")}
    request |= {CONDITIONS[name]: value for name, value in question.headers.items() if name in CONDITIONS}
    return {"request": request, **({"resource": question.json} if question.json is not None else {})}


def as_answer(entry: dict[str, Any]) -> httpx.Response:
    """An entry of a batch-response as an answer of its own."""
    response = entry["response"]
    body = entry.get("resource") or response.get("outcome") or {}
    return httpx.Response(int(response["status"][:3]), content=json.dumps(body))


def _together(found: Iterable[tuple[Question, Found]]) -> Found:
    return {f"{question.way} {what}": value for question, one in found for what, value in one.items()}
