"""`If-None-Exist`: the search parameters of a conditional create, in every form in which clients send them
(FHIR R4 http.html#ccreate asks for the parameters alone; HAPI's client sends the whole address of the search)."""

from __future__ import annotations

from urllib.parse import urlsplit

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.exchange import FhirRequest

HEADER = "if-none-exist"
EXPRESSION = "http.If-None-Exist"


def asked_condition(request: FhirRequest, resource_type: str) -> str | None:
    """The query of the condition, still encoded; None when the create is unconditional.

    `identifier=…`, `?identifier=…`, `Patient?identifier=…` and the same below the base are one condition. BadRequest for
    an address elsewhere and for a type other than the one to be created.
    """
    text = request.headers.get(HEADER)
    if text is None:
        return None
    address, mark, query = text.strip().partition("?")
    if "=" in address or (not mark and "/" not in address):
        return text.strip()
    named = _below_a_base(address, request)
    if named not in ("", resource_type):
        raise BadRequest(
            f"If-None-Exist cherche « {named} », alors que c'est {resource_type} qui serait créé.",
            f"If-None-Exist searches “{named}”, while it is {resource_type} that would be created.",
            code="value",
            expression=EXPRESSION,
            details_code="condition-elsewhere",
        )
    return query


def _below_a_base(address: str, request: FhirRequest) -> str:
    """What the address names below the base: a type, or nothing. The base may be named as configured, or as the client
    has reached it."""
    base = request.base_url
    bases = [base]
    if "host" in request.headers:
        path = urlsplit(base).path
        bases += [f"{scheme}://{request.headers['host']}{path}" for scheme in ("https", "http")]
    for own in bases:
        if address == own or address.startswith(f"{own}/"):
            return address.removeprefix(own).strip("/")
    if "//" in address:
        raise BadRequest(
            f"If-None-Exist cherche à l'adresse « {address} », qui n'est pas dans cette base ({base}) ; donnez les"
            " seuls paramètres : identifier=système|valeur.",
            f"If-None-Exist searches at “{address}”, which is not in this base ({base}); give the parameters alone:"
            " identifier=system|value.",
            code="value",
            expression=EXPRESSION,
            details_code="condition-elsewhere",
        )
    return address.strip("/")
