"""Everything that can go wrong, as typed exceptions, and the one place that gives each its HTTP status.

    CreneauError
    ├── BadRequest 400            unreadable, or against the base definition of its type
    ├── Unauthenticated 401       no token, or one that does not hold
    ├── Forbidden 403             the token does not allow it
    ├── NotFound 404
    ├── MethodNotAllowed 405
    ├── NotAcceptable 406
    ├── RequestTimeout 408
    ├── Conflict 409              taken, or changed meanwhile
    ├── Gone 410
    ├── PreconditionFailed 412
    ├── TooLarge 413
    ├── UnsupportedMedia 415
    ├── Unprocessable 422         readable, but against a rule (which it names)
    ├── TooManyRequests 429
    ├── NotImplementedByServer 501
    └── Unavailable 503

Each carries FHIR issues (severity, code, expression, a sentence in French and in English). The HTTP edge turns
them into one OperationOutcome; nothing else in the code builds an error answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One OperationOutcome.issue.

    `code` is from the required binding IssueType; `expression` holds FHIRPaths such as
    `Appointment.participant[0].status`; `fr` and `en` are one helpful sentence each; `details_code` is our own
    stable code, for programs; `diagnostics` is technical text in English.
    """

    code: str
    fr: str
    en: str
    expression: tuple[str, ...] = ()
    severity: Severity = "error"
    details_code: str | None = None
    diagnostics: str | None = None


@dataclass(eq=False)
class CreneauError(Exception):
    """A failure that is reported to the caller. Raise a subclass."""

    issues: tuple[Issue, ...]
    headers: Mapping[str, str] = field(default_factory=dict)

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "exception"

    def __init__(
        self,
        fr: str = "",
        en: str = "",
        *,
        code: str | None = None,
        expression: str | Iterable[str] = (),
        details_code: str | None = None,
        diagnostics: str | None = None,
        issues: Iterable[Issue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Either the sentence in both languages (one issue), or `issues` (several)."""
        if issues is None:
            paths = (expression,) if isinstance(expression, str) else tuple(expression)
            issues = (
                Issue(
                    code=code or self.default_code,
                    fr=fr,
                    en=en,
                    expression=paths,
                    details_code=details_code,
                    diagnostics=diagnostics,
                ),
            )
        self.issues = tuple(issues)
        self.headers = dict(headers or {})
        super().__init__("; ".join(issue.en for issue in self.issues))


class BadRequest(CreneauError):
    """Unreadable, or against the base definition of the type (FHIR R4 http.html: 400)."""

    status = 400
    default_code = "invalid"


class Unauthenticated(CreneauError):
    """No bearer token, or one that does not hold."""

    status = 401
    default_code = "login"


class Forbidden(CreneauError):
    """The token does not allow it."""

    status = 403
    default_code = "forbidden"


class NotFound(CreneauError):
    """No such resource, type or version."""

    status = 404
    default_code = "not-found"


class MethodNotAllowed(CreneauError):
    """The interaction is not offered here; `headers` must carry Allow."""

    status = 405
    default_code = "not-supported"

    @classmethod
    def at_address(cls, method: str, allowed: str) -> MethodNotAllowed:
        """The refusal of `method`, with `Allow`: the methods that the address has, comma between them."""
        return cls(
            f"{method} n'est pas possible à cette adresse ; méthodes possibles : {allowed or 'aucune'}.",
            f"{method} is not possible at this address; possible methods: {allowed or 'none'}.",
            headers={"Allow": allowed},
        )


class NotAcceptable(CreneauError):
    """None of the formats that the client accepts is served."""

    status = 406
    default_code = "not-supported"


class RequestTimeout(CreneauError):
    """The request took longer than its limit."""

    status = 408
    default_code = "timeout"


class Conflict(CreneauError):
    """The slot is taken, or the request conflicts with the stored state."""

    status = 409
    default_code = "conflict"


class Gone(CreneauError):
    """The resource existed and has been deleted."""

    status = 410
    default_code = "deleted"


class PreconditionFailed(CreneauError):
    """If-Match does not match, or a conditional interaction found several matches."""

    status = 412
    default_code = "conflict"


class TooLarge(CreneauError):
    """The body is longer than the limit."""

    status = 413
    default_code = "too-long"


class UnsupportedMedia(CreneauError):
    """The Content-Type is not one that is read here."""

    status = 415
    default_code = "not-supported"


class Unprocessable(CreneauError):
    """Readable, but against a rule, which the issue names."""

    status = 422
    default_code = "business-rule"


class TooManyRequests(CreneauError):
    """Over a rate or quota; `headers` must carry Retry-After."""

    status = 429
    default_code = "throttled"


class NotImplementedByServer(CreneauError):
    """A part of FHIR that this server does not have."""

    status = 501
    default_code = "not-supported"


class Unavailable(CreneauError):
    """A dependency is down; try again."""

    status = 503
    default_code = "transient"
