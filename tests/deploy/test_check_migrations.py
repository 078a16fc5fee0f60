"""`make lint` notices tables that no migration makes, and is not fooled by partitions."""

from __future__ import annotations

from deploy.check_migrations import compare
from deploy.local.postgres import Postgres
from sqlalchemy import Column, Integer, MetaData, Table
from tests.fixtures.postgres import NewDatabase


async def test_a_missing_column_is_noticed(postgres_server: Postgres, new_database: NewDatabase) -> None:
    url = new_database()
    database = url.rpartition("/")[2]
    postgres_server.execute("CREATE TABLE visit (id int PRIMARY KEY) PARTITION BY RANGE (id)", database)
    postgres_server.execute("CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (9)", database)
    declared = MetaData()
    visit = Table("visit", declared, Column("id", Integer, primary_key=True, autoincrement=False))
    assert await compare(url, declared) == []
    visit.append_column(Column("note", Integer))
    ((kind, _, table, column),) = await compare(url, declared)
    assert (kind, table, column.name) == ("add_column", "visit", "note")
