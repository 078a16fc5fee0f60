"""What every page stands on: made once by the composition root, found at `request.app.state.site`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment

from creneau_shared.clock import Clock
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_web.assets import Assets
from creneau_web.auth.keeping import Keeping
from creneau_web.auth.login import Login
from creneau_web.care.directory import Directory
from creneau_web.care.finding import Finding
from creneau_web.care.reasons import Reasons
from creneau_web.fhir.wire import Wire
from creneau_web.ops.collecting import Collector
from creneau_web.sessions.cookie import SessionCookie
from creneau_web.sessions.session import Language
from creneau_web.sessions.store import Sessions
from creneau_web.settings import WebSettings
from creneau_web.storage.reports import Reports
from creneau_web.wording import Wording


@dataclass(frozen=True, slots=True)
class Site:
    """The parts that pages use."""

    settings: WebSettings
    clock: Clock
    wire: Wire
    """the way to the FHIR base"""
    sessions: Sessions
    login: Login
    keeping: Keeping
    cookie: SessionCookie
    entrance: GatewayHeaders
    directory: Directory
    reasons: Reasons
    finding: Finding
    reports: Reports
    wordings: Mapping[Language, Wording]
    templates: Environment
    assets: Assets
    collector: Collector
    """what the operator's page knows"""
