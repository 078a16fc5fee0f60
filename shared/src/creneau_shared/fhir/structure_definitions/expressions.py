"""The invariants of R4 in FHIRPath, for the served StructureDefinitions: by key, relative to the element on which they are
stated. The functions of `fhir.invariants` check them; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXPRESSIONS: Final[Mapping[str, str]] = {
    "app-1": "type.exists() or actor.exists()",
    "app-2": "start.exists() = end.exists()",
    "app-3": ("(start.exists() and end.exists()) or (status in ('proposed' | 'cancelled' | 'waitlist'))"),
    "app-4": "cancelationReason.exists() implies (status = 'noshow' or status = 'cancelled')",
    "apr-1": "participantType.exists() or actor.exists()",
    "att-1": "data.empty() or contentType.exists()",
    "cpt-2": "value.empty() or system.exists()",
    "drq-1": "path.exists() xor searchParam.exists()",
    "drq-2": "path.exists() xor searchParam.exists()",
    "drt-1": "code.exists() implies ((system = 'http://unitsofmeasure.org') and value.exists())",
    "exp-1": "expression.exists() or reference.exists()",
    "ext-1": "extension.exists() != value.exists()",
    "org-1": "(identifier.count() + name.count()) > 0",
    "org-2": "where(use = 'home').empty()",
    "org-3": "where(use = 'home').empty()",
    "pat-1": "name.exists() or telecom.exists() or address.exists() or organization.exists()",
    "per-1": "start.hasValue().not() or end.hasValue().not() or (start <= end)",
    "qty-3": "code.empty() or system.exists()",
    "rat-1": ("(numerator.empty() xor denominator.exists()) and (numerator.exists() or extension.exists())"),
    "rng-2": "low.empty() or high.empty() or (low <= high)",
    "sev-1": "name.empty() or query.empty()",
    "sqty-1": "comparator.empty()",
    "tim-1": "duration.empty() or durationUnit.exists()",
    "tim-2": "period.empty() or periodUnit.exists()",
    "tim-4": "duration.exists() implies duration >= 0",
    "tim-5": "period.exists() implies period >= 0",
    "tim-6": "periodMax.empty() or period.exists()",
    "tim-7": "durationMax.empty() or duration.exists()",
    "tim-8": "countMax.empty() or count.exists()",
    "tim-9": "offset.empty() or (when.exists() and when.intersect('C' | 'CM' | 'CD' | 'CV').empty())",
    "tim-10": "timeOfDay.empty() or when.empty()",
    "trd-1": "data.empty() or timing.empty()",
    "trd-2": "condition.exists() implies data.exists()",
}
