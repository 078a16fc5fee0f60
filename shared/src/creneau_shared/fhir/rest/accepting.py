"""Checks made at once on a request that is to be answered later (`Prefer: respond-async`)."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.asynchronous import PATH
from creneau_shared.fhir.rest.bundles.entries import check_bundle, read_address, split_url
from creneau_shared.fhir.rest.exchange import FhirRequest, json_object
from creneau_shared.fhir.rest.operation import Operation
from creneau_shared.fhir.rest.provenance import provenance_of
from creneau_shared.fhir.rest.router import Route
from creneau_shared.fhir.rest.service import FhirService


def can_wait(request: FhirRequest, operations: Sequence[Operation]) -> bool:
    """Whether the request may be recorded for later. Quick reads, requests without a token (nobody could come back for
    the answer) and operations that leave nothing behind, or have transactions of their own, are answered at once: a
    preference may be ignored."""
    return (
        not request.principal.anonymous
        and _is_worth_waiting_for(request)
        and not _calls_at_once(request, operations)
    )


def is_for_later(request: FhirRequest, operations: Sequence[Operation]) -> bool:
    """Whether the request calls an operation that is always answered later, and has a token by which to come back."""
    if request.principal.anonymous or not request.path[-1:]:
        return False
    return request.path[-1] in {f"${operation.code}" for operation in operations if operation.later}


def check_at_once(service: FhirService, request: FhirRequest, route: Route) -> None:
    """Refuses now what would be refused later anyway. The route has checked the address and the right to it. This checks
    the Provenance, the body, and what an operation can say of its input without looking anything up.

    Of a Bundle's entries it checks the addresses; they fail one by one for other reasons, and a search over the system asks
    type by type: both later.
    """
    provenance_of(service, request, writes=route.write is not None)
    if request.method in ("POST", "PUT") and "_search" not in request.path and request.body.strip():
        request.resource()
    if request.method == "POST" and not request.path:
        bundle = request.resource()
        check_bundle(bundle)
        for index, entry in enumerate(bundle.get("entry", ())):
            read_address(entry["request"], request.base_url, index)
    if route.check is not None:
        route.check()


def _is_worth_waiting_for(request: FhirRequest) -> bool:
    """Whether the request is anything but a read of one version, `/metadata`, or a poll."""
    path = request.path
    if path[:1] in (("metadata",), (PATH,)):
        return False
    if request.method not in ("GET", "HEAD"):
        return True
    reads_one = len(path) == 2 and not path[1].startswith(("_", "$"))
    return request.method == "GET" and not reads_one and not (len(path) == 4 and path[2] == "_history")


def _calls_at_once(request: FhirRequest, operations: Sequence[Operation]) -> bool:
    """Whether the request, or an entry of its Bundle, calls an operation that is carried out at once."""
    at_once = {f"${one.code}" for one in operations if one.secret or one.at_once}
    if request.path or request.method != "POST":
        return bool(at_once & set(request.path[-1:]))
    entries = request.resource().get("entry", ())
    urls = [json_object(json_object(entry).get("request")).get("url", "") for entry in entries]
    return any(at_once & set(_path(str(url), request.base_url)[-1:]) for url in urls)


def _path(url: str, base_url: str) -> tuple[str, ...]:
    """The path of an entry's address, read as when the entry is carried out; empty for an address that will be refused."""
    try:
        return split_url(url, base_url, 0)[0]
    except BadRequest:
        return ()
