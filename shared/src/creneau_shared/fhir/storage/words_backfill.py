"""SQL that fills `words` for rows that were stored before the column existed: for migrations only.

It repeats in SQL what `fhir.search.words` does in Python, so that a database with data is upgraded without reading every
resource through the application. It takes numeric character references of a narrative for plain digits; the next version
of such a row corrects that.
"""

from __future__ import annotations

from typing import Final

FOLDED: Final = r"""
CREATE FUNCTION pg_temp.folded(written text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT regexp_replace(
    lower(regexp_replace(
      normalize(translate(replace(replace(replace(lower(written), 'œ', 'oe'), 'æ', 'ae'), 'ß', 'ss'), 'øđł', 'odl'), NFKD),
      '[\u0300-\u036f]+', '', 'g')),
    '[^[:alnum:]]+', ' ', 'g')
$$
"""

PLAIN: Final = r"""
CREATE FUNCTION pg_temp.plain(div text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT replace(replace(replace(replace(replace(replace(
    regexp_replace(div, '<!--.*?-->|<[^<>]*>', ' ', 'g'),
    '&nbsp;', ' '), '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&apos;', ''''), '&amp;', '&')
$$
"""

WORDS: Final = r"""
CREATE FUNCTION pg_temp.words(resource json) RETURNS tsvector LANGUAGE sql AS $$
  WITH RECURSIVE node (path, top, name, value) AS (
    SELECT ARRAY[]::bigint[], ''::text, ''::text, resource
    UNION ALL
    SELECT path || n, CASE WHEN path = '{}' THEN child_name ELSE top END, coalesce(child_name, name), child
    FROM node, LATERAL (
      SELECT n, child_name, child FROM json_each(CASE json_typeof(value) WHEN 'object' THEN value ELSE '{}' END)
        WITH ORDINALITY AS member (child_name, child, n)
      UNION ALL
      SELECT n, NULL, child FROM json_array_elements(CASE json_typeof(value) WHEN 'array' THEN value ELSE '[]' END)
        WITH ORDINALITY AS element (child, n)
    ) AS inside
  ), written AS (
    SELECT path, top, name, value #>> '{}' AS text FROM node WHERE json_typeof(value) = 'string'
  ), texts AS (
    SELECT row_number() OVER (ORDER BY path) AS n, CASE WHEN top = 'text' THEN 'A' ELSE '' END AS weight,
      pg_temp.folded(CASE name WHEN 'div' THEN pg_temp.plain(text) ELSE text END) AS text
    FROM written
    WHERE CASE WHEN top = 'text' THEN name = 'div' AND cardinality(path) = 2 ELSE
      name <> ALL ('{contentType,data,hash,header,id,implicitRules,language,lastUpdated,reference,resourceType,status,'
        'system,type,url,use,valueBase64Binary,versionId}'::text[])
      AND text !~ '^([a-z][a-z0-9+.\-]*:\S+|\d{4}-\d\d-\d\d(T\S*)?)$' END
  ), places AS (
    SELECT row_number() OVER together AS place, n, left(word, 64) AS word, weight,
      sum(length(left(word, 64))) OVER together AS characters
    FROM texts, regexp_split_to_table(trim(text), ' ') WITH ORDINALITY AS split (word, w)
    WHERE word <> '' WINDOW together AS (ORDER BY n, w)
  )
  SELECT coalesce(string_agg(format('''%s'':%s%s', word, least(place + n - 1, 16383), weight), ' '), '')::tsvector
  FROM places WHERE place + n - 1 <= 16000 AND characters <= 100000
$$
"""

FUNCTIONS: Final = (FOLDED, PLAIN, WORDS)
"""The functions, which live as long as the session, in the order in which they are made."""


def backfill(table: str) -> str:
    """The UPDATE that fills `words` of a type's main table."""
    return f"UPDATE {table} SET words = pg_temp.words(convert_from(content, 'UTF8')::json) WHERE content IS NOT NULL"
