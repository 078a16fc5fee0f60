"""Where the source names codes of our own for OperationOutcomes (`details_code`), and with what."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.fixtures.source import parsed

from creneau_shared import errors
from creneau_shared.errors import CreneauError

ROOT = Path(__file__).parents[3]
_KEYWORD = "details_code"
LISTED = "listed"
"""what an issue is that no error is made of where it is written: one of several"""


@cache
def _modules() -> tuple[ast.Module, ...]:
    """The modules that name codes."""
    services = ("booking", "directory", "notifications", "gateway")
    folders = (ROOT / "shared" / "src", *(ROOT / "services" / name / "src" for name in services))
    texts = (path.read_text() for folder in folders for path in sorted(folder.rglob("*.py")))
    return tuple(parsed(text) for text in texts if _KEYWORD in text)


def strings(node: ast.expr) -> Iterator[str]:
    """The strings that an expression may be; a pattern for what is put together."""
    match node:
        case ast.Constant(value=str(text)):
            yield re.escape(text)
        case ast.IfExp(body=first, orelse=second):
            yield from strings(first)
            yield from strings(second)
        case ast.JoinedStr(values=parts):
            yield "".join(
                re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts
            )


def used_codes() -> set[str]:
    """Every code that the source gives as `details_code`, as patterns."""
    return {pattern for module in _modules() for pattern, _ in _given(module)}


@cache
def said_by_code(codes: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
    """Each code with the statuses of the errors that bear it (`422`), the severities of remarks that do, or LISTED. A code
    that a function of the module is called with is said as the function says it; one that stands in a table of a module,
    as the module says what it has looked up."""
    found: dict[str, set[str]] = {code: set() for code in codes}
    given = [(module, list(_given(module))) for module in _modules()]
    for pattern, call in (one for _, those in given for one in those):
        if said := _said_by(call):
            for code in codes:
                if re.fullmatch(pattern, code):
                    found[code].add(said)
    untold = {code for code, said in found.items() if not said}
    for module, those in given:
        written_out = {call for _, call in those}
        saying = {call for call in _calls(module) if _keyword(call, _KEYWORD) is not None}
        looked_up = {_said_by(call) for call in saying - written_out} - {""}
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and node.value in untold:
                found[str(node.value)] |= looked_up
    return {code: frozenset(said) for code, said in found.items()}


def _given(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """(pattern of a code, the call that says it) for each `details_code` of a module that is written out."""
    for call in _calls(module):
        if (value := _keyword(call, _KEYWORD)) is not None:
            for pattern in strings(value):
                yield pattern, call
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef):
            yield from _handed_on(module, function)


def _handed_on(module: ast.Module, function: ast.FunctionDef) -> Iterator[tuple[str, ast.Call]]:
    """The codes that a function is called with, and says as its `details_code`."""
    parameters = [one.arg for one in function.args.args]
    for call in _calls(function):
        value = _keyword(call, _KEYWORD)
        if isinstance(value, ast.Name) and value.id in parameters:
            place = parameters.index(value.id)
            for caller in _calls(module):
                if isinstance(caller.func, ast.Name) and caller.func.id == function.name:
                    by_name = _keyword(caller, value.id)
                    for given in caller.args[place : place + 1] if by_name is None else [by_name]:
                        for pattern in strings(given):
                            yield pattern, call


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (one for one in ast.walk(node) if isinstance(one, ast.Call))


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)


def _said_by(call: ast.Call) -> str:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    made = getattr(errors, name, None)
    if isinstance(made, type) and issubclass(made, CreneauError):
        return str(made.status)
    if name != "Issue":
        return ""
    severity = _keyword(call, "severity")
    return str(severity.value) if isinstance(severity, ast.Constant) else LISTED
