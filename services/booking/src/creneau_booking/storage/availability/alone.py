"""The roles in which the people of an agenda that names no role are received: software has agendas of a person alone."""

from __future__ import annotations

from creneau_booking.storage.availability.agendas import IN_PERIOD, PLACE_GONE, ROLE_GONE

_WHOLES = """(
        WITH RECURSIVE whole (id) AS (
          SELECT {id} COLLATE "C"
          UNION SELECT substr(t, 17) FROM whole JOIN location AS part ON part.id = whole.id
            CROSS JOIN unnest(part.terms) AS t WHERE starts_with(t, 'partof=Location/'))
        SELECT id FROM whole)"""
ROLES_ALONE = f"""(
  SELECT works.id FROM (
    SELECT role.id, at.places, min(at.places) OVER own = max(at.places) OVER own AS always_there
    FROM unnest(schedule.terms) AS t JOIN practitioner_role AS role ON role.terms @> ARRAY['practitioner=' || substr(t, 7)]
    CROSS JOIN LATERAL (SELECT ARRAY(
      SELECT role_place.place FROM role_place LEFT JOIN location AS place ON place.id = role_place.place
      WHERE role_place.role = role.id AND NOT {PLACE_GONE} ORDER BY 1) AS places) AS at
    WHERE starts_with(t, 'actor=Practitioner/') AND NOT {ROLE_GONE} AND {IN_PERIOD}
    WINDOW own AS (PARTITION BY t)) AS works
  WHERE NOT EXISTS (SELECT FROM unnest(schedule.terms) AS t WHERE starts_with(t, 'actor=PractitionerRole/'))
    AND CASE WHEN EXISTS (SELECT FROM unnest(schedule.terms) AS t WHERE starts_with(t, 'actor=Location/'))
      THEN EXISTS (
        SELECT FROM unnest(schedule.terms) AS t, unnest(works.places) AS place
        WHERE starts_with(t, 'actor=Location/') AND (
          place IN {_WHOLES.format(id="substr(t, 16)")} OR substr(t, 16) IN {_WHOLES.format(id="place")}))
      ELSE works.always_there END)"""
"""FROM item: the roles (ids) in which the people of an agenda (a row `schedule`) that names no role are received there:
roles at the place that it names (a room and its site are one), or else roles of people who have one place only."""
