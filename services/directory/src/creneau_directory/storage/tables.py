"""The directory's database: generic tables of its types, the outbox, people's search, loading and common tables."""

from __future__ import annotations

from creneau_directory.storage.care_tables import care_tables
from creneau_directory.storage.load_tables import load_tables
from creneau_shared.database.metadata import new_metadata
from creneau_shared.fhir.audit import audit_table
from creneau_shared.fhir.rest.idempotency import idempotency_table
from creneau_shared.fhir.storage.async_requests import async_request_table
from creneau_shared.fhir.storage.tables import history_table, resource_tables
from creneau_shared.limits.storage import rate_bucket_table
from creneau_shared.messaging.outbox import outbox_table
from creneau_shared.retention.job import retention_report_table
from creneau_shared.security.revocation import revoked_token_table
from creneau_shared.security.used_proofs import used_proof_table
from creneau_shared.type_table import types_of

TYPES = types_of("directory")

metadata = new_metadata()
for resource_type in TYPES:
    resource_tables(metadata, resource_type)
history_table(metadata)
idempotency_table(metadata)
audit_table(metadata)
revoked_token_table(metadata)
used_proof_table(metadata)
async_request_table(metadata)
rate_bucket_table(metadata)
outbox_table(metadata)
care_tables(metadata)
retention_report_table(metadata)
load_tables(metadata)
