"""SQL that lets names be found from each of their words on (`fhir.search.name_words`) if they were stored before that was
possible: for migrations only (`\\:` is their colon). All that it needs stands in the side tables already, folded."""

from __future__ import annotations

from typing import Final

PARAMETERS: Final = "'{name,family,given,address,address-city}'"


def backfill(table: str) -> str:
    """The INSERT that adds the starts to the strings of a type's main table."""
    return f"""INSERT INTO {table}_string (key, parameter, value, exact)
SELECT DISTINCT key, parameter || '\\:start', array_to_string(words[n:], ' '), ''
FROM (
  SELECT key, parameter, value, regexp_replace(value, '\\m(sainte|ste|st)\\M', 'saint', 'g') AS normal
  FROM {table}_string WHERE parameter = ANY({PARAMETERS}::text[]) AND value <> ''
) AS said, string_to_array(normal, ' ') AS words, generate_series(1, least(cardinality(words), 16)) AS n
WHERE n > 1 OR normal <> value"""


def undo(table: str) -> str:
    """The DELETE that removes the starts again."""
    return f"DELETE FROM {table}_string WHERE parameter LIKE '%\\:start'"
