"""The composition root: settings → database → channels → senders, consumers and the API."""

from __future__ import annotations

import json
from datetime import timedelta
from zoneinfo import ZoneInfo

from creneau_notifications.api.confirmation import ConfirmationPages
from creneau_notifications.channels.notes import NotePost
from creneau_notifications.channels.registry import CHANNELS, media, note_ways, offered
from creneau_notifications.conformance import served_types
from creneau_notifications.delivery.admission import Admission
from creneau_notifications.delivery.ledger import Ledger
from creneau_notifications.delivery.sender import DeliveryLimits, Sender, Way, sending_max
from creneau_notifications.handlers import Notifications
from creneau_notifications.jobs import Departures, Watch, rules
from creneau_notifications.messaging.consumers import consumers
from creneau_notifications.operations.codes import CodeDesk, SendCodeOperation, VerifyCodeOperation
from creneau_notifications.operations.messages import MessagesOperation
from creneau_notifications.operations.visit_links import LinkDesk, OpenLinkOperation, RenewLinkOperation
from creneau_notifications.settings import NotificationsSettings
from creneau_notifications.storage.accounts import known
from creneau_notifications.storage.addresses import Keyring
from creneau_notifications.storage.communications import Communications
from creneau_notifications.storage.facts import name_in_facts
from creneau_shared.app import ServiceApplication, create_fhir_server, create_service_app, open_database
from creneau_shared.clock import Clock, SystemClock
from creneau_shared.database.listening import Listening
from creneau_shared.database.pool import Database
from creneau_shared.fhir.rest.async_runner import AsyncRunner
from creneau_shared.fhir.rest.dead_letters import DeadLetterOperations
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.fhir.search.generic import GenericTable
from creneau_shared.fhir.search.sql import Catalog
from creneau_shared.fhir.storage.audit_events import AuditEventTable
from creneau_shared.messaging.consumer import Consumer
from creneau_shared.retention.job import Retention
from creneau_shared.retention.settings import RetentionSettings
from creneau_shared.security.answers import Answers
from creneau_shared.security.contact_accounts import ContactAccounts
from creneau_shared.security.own_tokens import TokenSigner
from creneau_shared.security.vouching import Vouchers
from creneau_shared.tasks import Task

SERVICE = "creneau-notifications"


def create_fhir(settings: NotificationsSettings, database: Database, clock: Clock) -> FhirServer:
    """Communications, read only: for the API and for the worker alike."""
    trail = AuditEventTable(SERVICE)
    desk, links = create_desks(settings)
    return create_fhir_server(
        settings,
        service=SERVICE,
        database=database,
        clock=clock,
        types=served_types(settings.public_base_url.rstrip("/"), name_in_facts),
        catalog=Catalog([GenericTable.of("Communication"), trail]),
        operations=[
            MessagesOperation(trail, Vouchers(settings.vouching_secret)).declare(),
            *DeadLetterOperations(
                "notifications", lambda: create_consumers(settings, database, clock)
            ).declare(),
            SendCodeOperation(desk).declare(),
            VerifyCodeOperation(desk).declare(),
            OpenLinkOperation(links).declare(),
            RenewLinkOperation(links).declare(),
        ],
        memberships=known,
    )


def create_desks(settings: NotificationsSettings) -> tuple[CodeDesk, LinkDesk]:
    """Where codes are given out and taken back, and where links are opened."""
    key, secret = settings.contact_signing_key.get_secret_value(), settings.contact_secret.get_secret_value()
    signer = TokenSigner(json.loads(key), settings.oidc_audience) if key else None
    keyring, site_url = Keyring(settings.address_key), settings.public_site_url.rstrip("/")
    post = NotePost(note_ways(offered()), settings.note_sendings_max, settings.note_sending_timeout_s)
    codes = CodeDesk(
        keyring=keyring,
        limits=settings.code_limits,
        post=post,
        accounts=ContactAccounts(secret),
        signer=signer if secret else None,
        token_lifetime=timedelta(seconds=settings.contact_token_s),
        site_url=site_url,
    )
    links = LinkDesk(
        keyring=keyring,
        rules=settings.link_rules,
        limits=settings.code_limits,
        channels=CHANNELS,
        post=post,
        answers=Answers(settings.vouching_secret),
        signer=signer,
        site_url=site_url,
    )
    return codes, links


def create_app(
    settings: NotificationsSettings | None = None, clock: Clock | None = None
) -> ServiceApplication:
    """The API."""
    settings = settings or NotificationsSettings()
    clock = clock or SystemClock()
    database = open_database(settings, f"{SERVICE}-api", serves=True)
    app = create_service_app(settings, create_fhir(settings, database, clock))
    pages = ConfirmationPages(
        database, clock, timedelta(days=settings.address_refusal_days), settings.public_site_url.rstrip("/")
    )
    pages.serve(app.rest_of_api)
    return app


def create_consumers(settings: NotificationsSettings, database: Database, clock: Clock) -> list[Consumer]:
    """What follows the other services: one consumer a topic."""
    notifications = Notifications(_communications(settings), clock, offered(), Keyring(settings.address_key))
    return consumers(notifications, database, settings, clock)


def create_tasks(settings: NotificationsSettings, database: Database, clock: Clock) -> list[Task]:
    """What the worker runs: the consumers, the senders, periodic jobs and asynchronous requests."""
    communications = _communications(settings)
    common = RetentionSettings()
    retention = Retention(database, clock, rules(settings, communications, common), common)
    return [
        *create_senders(settings, database, clock, settings.delivery_senders),
        *(Task(c.name, c.run, c.stuck) for c in create_consumers(settings, database, clock)),
        Task("departures", Departures(database, clock, settings.erasure_interval_s).run),
        Task("retention", retention.run),
        Task("watch", Watch(database, clock, settings.watch_interval_s).run),
        *AsyncRunner(create_fhir(settings, database, clock), AsyncSettings()).tasks(),
    ]


def create_senders(
    settings: NotificationsSettings, database: Database, clock: Clock, count: int
) -> list[Task]:
    """`count` senders, woken by planned messages; they share one ledger."""
    communications = _communications(settings)
    ledger = Ledger(database, communications, clock)
    return [
        Task("wake-ups", Listening(database, settings.database_listen_check_s).run),
        *(
            Task(f"sender {number}", _sender(settings, database, communications, ledger, clock).run)
            for number in range(1, count + 1)
        ),
    ]


def _communications(settings: NotificationsSettings) -> Communications:
    return Communications(settings.public_base_url.rstrip("/"), media())


def _sender(
    settings: NotificationsSettings,
    database: Database,
    communications: Communications,
    ledger: Ledger,
    clock: Clock,
) -> Sender:
    lease = timedelta(seconds=settings.delivery_lease_s)
    return Sender(
        database,
        communications,
        ledger,
        lanes=[
            {
                name: Way(channel, channel.open(within=sending_max(lease)))
                for name, channel in CHANNELS.items()
            }
            for _ in range(settings.delivery_connections)
        ],
        offered=offered(),
        site_url=settings.public_site_url.rstrip("/"),
        reader_zone=ZoneInfo(settings.reader_zone),
        limits=DeliveryLimits(
            batch_rows=settings.delivery_batch_rows,
            batch_rows_max=max(settings.delivery_batch_rows, settings.delivery_batch_rows_max),
            lease=lease,
            poll_s=settings.delivery_poll_s,
            look_max_s=settings.delivery_look_max_s,
            facts_patience=timedelta(seconds=settings.facts_patience_s),
            facts_retry=timedelta(seconds=settings.facts_retry_s),
            retry=settings.retry_policy,
        ),
        admission=Admission(
            Keyring(settings.address_key),
            settings.allowance,
            timedelta(days=settings.confirmation_link_days),
        ),
        clock=clock,
    )
