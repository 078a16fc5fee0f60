"""What the tables of a type (`storage.tables`) and the searches over them agree on."""

from __future__ import annotations

import re

STRING_INDEX_CHARACTERS = 64
"""Characters of a string that the ordered index holds: an index entry cannot be as long as a string."""


def table_name(resource_type: str) -> str:
    """`PractitionerRole` → `practitioner_role`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", resource_type).lower()
