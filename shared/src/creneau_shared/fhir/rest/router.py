"""Finds the interaction that a request asks for (FHIR R4 http.html#summary), and whether the caller may have it.

Nothing is read or written here. The rights were looked up before; the route says what to do. Bundles are not routed, but
the requests in them are (`batch.py`, `transaction.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Forbidden, MethodNotAllowed, NotFound, NotImplementedByServer
from creneau_shared.fhir.rest import capability, history, reading, searching, writing
from creneau_shared.fhir.rest.asynchronous import AsyncRequests
from creneau_shared.fhir.rest.declaration import Interaction, ServedType
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.reading import ID, unknown_resource, with_small_ids
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.storage.store import ResourceStore
from creneau_shared.security.access import Access
from creneau_shared.security.principal import Action
from creneau_shared.type_table import COMPARTMENT_PARAMETERS, PUBLIC

Path = tuple[str, ...]
Read = Callable[[], Awaitable[Answer]]
Write = Callable[[Connection], Awaitable[Answer]]
WriteOfType = Callable[[FhirService, Connection, FhirRequest, Access, ResourceStore], Awaitable[Answer]]
WriteOfInstance = Callable[
    [FhirService, Connection, FhirRequest, Access, ResourceStore, str], Awaitable[Answer]
]

_OF_TYPE: Mapping[str, Interaction] = {
    "GET": "search-type",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_OF_INSTANCE: Mapping[str, Interaction] = {
    "GET": "read",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
"""what each method means on a type and on one of its resources"""
_OF_SYSTEM: Mapping[Path, str] = {
    (): "GET, HEAD, POST",
    ("metadata",): "GET, HEAD",
    ("_history",): "GET, HEAD",
    ("_search",): "POST",
}
"""the methods that the addresses of the whole service have"""

_TYPE_WRITES: Mapping[str, tuple[Action, WriteOfType]] = {
    "POST": ("c", writing.create),
    "PUT": ("u", writing.conditional_update),
    "PATCH": ("u", writing.conditional_patch),
    "DELETE": ("d", writing.conditional_delete),
}
_INSTANCE_WRITES: Mapping[str, tuple[Action, WriteOfInstance]] = {
    "PUT": ("u", writing.update),
    "PATCH": ("u", writing.patch),
    "DELETE": ("d", writing.delete),
}
"""for each method that writes: the action that must be allowed, and the function that carries it out"""


@dataclass(frozen=True, slots=True)
class Route:
    """What a request will do: either `read` or `write`; `write` is given the connection of its transaction."""

    read: Read | None = None
    once: bool = False
    """whether `read` changes something, so that it must not be tried a second time"""
    write: Write | None = None
    check: Callable[[], object] | None = None
    """raises what `read` would refuse of the request's input"""


class Router:
    """The interactions of one service."""

    def __init__(
        self, service: FhirService, operations: Sequence[Operation], asynchronous: AsyncRequests | None
    ) -> None:
        self._service = service
        self._operations = operations
        self._asynchronous = asynchronous

    def route(self, request: FhirRequest) -> Route:
        """What the request will do. NotFound, MethodNotAllowed or NotImplementedByServer for what does not exist,
        Unauthenticated or Forbidden for what the caller may not do."""
        path = with_small_ids(request.path)
        method = "GET" if request.method == "HEAD" else request.method
        if not path or path[0].startswith(("_", "$")) or path == ("metadata",):
            return self._of_system(request, method, path)
        if len(path) in (3, 4) and path[2] in COMPARTMENT_PARAMETERS.get(path[0], ()):
            return self._of_compartment(request, method, path)
        if len(path) == 2 and self._is_of_another_service(*path):
            return self._operation(request, method, path[0], None, path[1])
        if len(path) in (3, 4) and path[2] in self._service.types and path[0] not in self._service.types:
            raise _not_below(*path[:3])
        served = self._service.served(path[0])
        match path[1:]:
            case ():
                return self._of_type(request, method, served)
            case ("_search",):
                _require_interaction(served, "search-type", method, "POST")
                return self._search(request, served)
            case ("_history",):
                _require_interaction(served, "history-type", method, "GET")
                return self._history(request, served, None)
            case (code,) if code.startswith("$"):
                return self._operation(request, method, served.name, None, code)
            case (id_,):
                return self._of_instance(request, method, served, id_)
            case (id_, "_history"):
                _require_interaction(served, "history-instance", method, "GET")
                return self._history(request, served, id_)
            case (id_, "_history", version):
                _require_interaction(served, "vread", method, "GET")
                _require_more_than_a_link(request, served.name)
                access = request.access(served.name, "r")
                return Route(
                    read=partial(reading.vread, self._service, request, access, served.store, id_, version)
                )
            case (id_, code) if code.startswith("$"):
                return self._operation(request, method, served.name, id_, code)
            case (id_, target) | (id_, target, "_search"):
                raise _not_below(served.name, id_, target)
        raise _unknown_address(path)

    def _of_system(self, request: FhirRequest, method: str, path: Path) -> Route:
        service = self._service
        match method, path:
            case ("GET", ()) | ("POST", ("_search",)):
                return Route(read=partial(searching.search_system, service, request))
            case "GET", ("metadata",):
                return Route(read=partial(capability.metadata, service, self._operations, request))
            case "GET", ("_history",):
                kept = (s for s in service.types.values() if "history-type" in s.interactions)
                stores = [s.store for s in kept if not _is_beyond_link(request, s.name)]
                return Route(read=partial(history.history, service, request, stores))
            case _, ("_async", name, id_):
                return self._polling(request, method, name, id_)
            case _, (code,) if code.startswith("$"):
                return self._operation(request, method, None, None, code)
        raise MethodNotAllowed.at_address(method, _OF_SYSTEM.get(path, "POST"))

    def _polling(self, request: FhirRequest, method: str, name: str, id_: str) -> Route:
        asynchronous = self._asynchronous
        if asynchronous is None or name != asynchronous.service:
            raise NotFound(
                f"Aucune demande n'attend sa réponse sous _async/{name}.",
                f"No request waits for its answer below _async/{name}.",
            )
        if method == "GET":
            return Route(read=partial(asynchronous.poll, self._service, request, id_))
        if method == "DELETE":
            return Route(read=partial(asynchronous.cancel, self._service, request, id_))
        raise MethodNotAllowed.at_address(method, "GET, HEAD, DELETE")

    def _of_type(self, request: FhirRequest, method: str, served: ServedType) -> Route:
        _require_method(_OF_TYPE, served, method)
        if method == "GET":
            return self._search(request, served)
        service, store = self._service, served.store
        action, write = _TYPE_WRITES[method]
        access = request.access(served.name, action)
        return Route(write=lambda connection: write(service, connection, request, access, store))

    def _of_instance(self, request: FhirRequest, method: str, served: ServedType, id_: str) -> Route:
        _require_method(_OF_INSTANCE, served, method)
        service, store = self._service, served.store
        if method == "GET":
            access = request.access(served.name, "r")
            return Route(read=lambda: reading.read(service, request, access, store, id_))
        action, write = _INSTANCE_WRITES[method]
        access = request.access(served.name, action)
        return Route(write=lambda connection: write(service, connection, request, access, store, id_))

    def _of_compartment(self, request: FhirRequest, method: str, path: Path) -> Route:
        """`Patient/12/Appointment`, also where another service holds the owner."""
        owner, id_, target, *by_form = path
        if not ID.match(id_):
            raise unknown_resource(owner, id_)
        if by_form not in ([], ["_search"]):
            raise _unknown_address(path)
        served = self._service.served(target)
        _require_interaction(served, "search-type", method, "POST" if by_form else "GET")
        access = request.access(target, "s")
        return Route(read=partial(searching.search_compartment, self._service, request, access, owner, id_))

    def _search(self, request: FhirRequest, served: ServedType) -> Route:
        access = request.access(served.name, "s")
        return Route(read=lambda: searching.search(self._service, request, access))

    def _history(self, request: FhirRequest, served: ServedType, id_: str | None) -> Route:
        request.access(served.name, "r")
        _require_more_than_a_link(request, served.name)
        return Route(read=partial(history.history, self._service, request, [served.store], id_))

    def _is_of_another_service(self, resource_type: str, code: str) -> bool:
        """Whether `code` is an operation of this service on a type that another service holds."""
        return resource_type not in self._service.types and any(
            f"${operation.code}" == code and resource_type in operation.types
            for operation in self._operations
        )

    def _operation(
        self, request: FhirRequest, method: str, resource_type: str | None, id_: str | None, code: str
    ) -> Route:
        for operation in self._operations:
            if f"${operation.code}" == code and operation.allows(resource_type, id_):
                affects_state = bool(operation.definition.get("affectsState"))
                if method != "POST" and (affects_state or method != "GET"):
                    raise MethodNotAllowed.at_address(method, "POST" if affects_state else "GET, HEAD, POST")
                if operation.right is not None:
                    request.access(*operation.right)
                call = OperationCall(self._service, request, resource_type, id_, operation.definition)
                check = operation.check and partial(operation.check, call)
                return Route(read=partial(operation.handler, call), once=affects_state, check=check)
        raise NotImplementedByServer(
            f"L'opération {code} n'existe pas ici.",
            f"The operation {code} does not exist here.",
        )


def _require_interaction(served: ServedType, interaction: Interaction, method: str, expected: str) -> None:
    """MethodNotAllowed unless the type offers the interaction, and this is its method."""
    if interaction not in served.interactions:
        raise MethodNotAllowed.at_address(method, "")
    if method != expected:
        raise MethodNotAllowed.at_address(method, "GET, HEAD" if expected == "GET" else expected)


def _is_beyond_link(request: FhirRequest, resource_type: str) -> bool:
    """Whether the token is for one appointment and the type is personal: earlier versions may have been somebody
    else's."""
    return request.principal.appointment is not None and resource_type not in PUBLIC


def _require_more_than_a_link(request: FhirRequest, resource_type: str) -> None:
    """Forbidden for a history that is beyond a link (`_is_beyond_link`)."""
    if _is_beyond_link(request, resource_type):
        raise Forbidden(
            "Ce lien montre le rendez-vous tel qu'il est, pas son historique.",
            "This link shows the appointment as it is, not its history.",
            details_code="link-only",
        )


def _require_method(offered: Mapping[str, Interaction], served: ServedType, method: str) -> None:
    """MethodNotAllowed, naming what is offered, unless the type offers the method's interaction."""
    if offered.get(method) in served.interactions:
        return
    allowed = [verb for verb, interaction in offered.items() if interaction in served.interactions]
    raise MethodNotAllowed.at_address(method, ", ".join(["HEAD", *allowed] if "GET" in allowed else allowed))


def _not_below(owner: str, id_: str, target: str) -> NotFound:
    """That a type is not searched in a compartment here, and by which of its parameters it is searched instead."""
    known = [p for p in parameters_of(target).values() if p.type == "reference" and p.allows_target(owner)]
    names = sorted(p.name for p in known)
    name = "patient" if owner == "Patient" and "patient" in names else next(iter(names), None)
    fr, en = (
        (
            f" Cherchez par exemple {target}?{name}={owner}/{id_}.",
            f" Search {target}?{name}={owner}/{id_} instead.",
        )
        if name
        else ("", "")
    )
    return NotFound(
        f"{target} ne se cherche pas sous {owner}/[id] ici.{fr}",
        f"{target} is not searched below {owner}/[id] here.{en}",
        code="not-supported",
    )


def _unknown_address(path: Path) -> NotFound:
    return NotFound(
        f"L'adresse /{'/'.join(path)} ne désigne aucune interaction FHIR.",
        f"The address /{'/'.join(path)} names no FHIR interaction.",
    )
