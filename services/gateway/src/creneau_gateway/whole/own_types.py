"""What the gateway answers for itself, asked alone or as an entry of a Bundle: definitions, terminology, the audit trail
of the whole, a person's whole record, the dead letters of all services, and the whole base's statement, history and search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from creneau_gateway.conformance.resources import ConformanceResources
from creneau_gateway.operations.dead_letters import AllDeadLetters
from creneau_gateway.operations.record import PersonalRecord
from creneau_gateway.upstreams.asking import Query
from creneau_gateway.whole.audit_trail import TYPE as TRAIL
from creneau_gateway.whole.joined import Whole
from creneau_shared.errors import MethodNotAllowed
from creneau_shared.fhir.outcome import Language
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.negotiation import Preference
from creneau_shared.fhir.storage.store import Resource


class OwnTypes:
    """Answers at the addresses that no service answers alone."""

    def __init__(
        self, whole: Whole, record: PersonalRecord, letters: AllDeadLetters, conformance: ConformanceResources
    ) -> None:
        self._whole = whole
        self._record = record
        self._letters = letters
        self._conformance = conformance

    def answers(self, path: Sequence[str]) -> bool:
        """Whether this address is the gateway's own. An operation on AuditEvent is booking's."""
        if not path:
            return False
        if self._record.answers(path) or self._letters.answers(path):
            return True
        return path[0] in self._conformance.types or (path[0] == TRAIL and not path[-1].startswith("$"))

    def asks_nobody(self, path: Sequence[str]) -> bool:
        """Whether this address is answered without a service, that would judge the token: definitions, terminology, and the
        statement, which is kept."""
        return path[:1] == ("metadata",) or (bool(path) and path[0] in self._conformance.types)

    def is_of_the_whole(self, path: Sequence[str]) -> bool:
        """Whether this address is read from all services together."""
        return tuple(path) in ((), ("metadata",), ("_history",))

    def as_of_an_entry(self, path: Sequence[str], query: Query) -> Query:
        """The query of a Bundle entry, sealed where links repeat it: it came in a body."""
        return self._whole.seal.close(query) if tuple(path) in ((), (TRAIL,)) else query

    async def of_the_whole(self, path: Sequence[str], query: Query, headers: Mapping[str, str]) -> Answer:
        """What is read of the whole base: its statement, its history, or a search over its types."""
        match tuple(path):
            case ("metadata",):
                return await self._whole.metadata(query, headers, self._conformance.declarations())
            case ("_history",):
                return Answer(200, await self._whole.history(query, headers))
            case _:
                return Answer(200, await self._whole.search(query, headers))

    async def answer(
        self,
        method: str,
        path: Sequence[str],
        query: Query,
        headers: Mapping[str, str],
        parameters: Resource | None,
        language: Language,
    ) -> Answer:
        """What is asked at `path`. `query` has a search form's fields, too; `parameters` is an operation's body."""
        kind, *rest = path
        if self._record.answers(path):
            return await self._record.answer(method, path, query, headers, parameters)
        if self._letters.answers(path):
            return await self._letters.answer(method, path, headers, parameters)
        if kind == TRAIL:
            return await self._whole.audit_trail.answer(method, rest, query, headers)
        if path[-1].startswith("$"):
            if method not in ("GET", "HEAD", "POST"):
                raise MethodNotAllowed.at_address(method, "GET, HEAD, POST")
            return self._conformance.operate(path, query, parameters, language)
        if rest == ["_search"]:
            if method != "POST":
                raise MethodNotAllowed.at_address(method, "POST")
            rest = []
        elif method not in ("GET", "HEAD") or "_history" in rest:
            raise MethodNotAllowed.at_address(method, "" if "_history" in rest else "GET, HEAD")
        operations = await self._whole.operations() if kind == "OperationDefinition" else []
        return self._conformance.read(
            kind,
            rest,
            query,
            headers.get("if-none-match"),
            operations,
            strict=Preference.parse(headers.get("prefer")).strict,
            language=language,
        )
