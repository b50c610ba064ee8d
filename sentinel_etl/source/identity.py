"""Tells which database a URL leads to, however it is written."""

from __future__ import annotations

from sqlalchemy import Engine

from sentinel_etl.source.connection import connect_source

__all__ = ["identify_source"]


def identify_source(source: Engine) -> str:
    """Name the database and its cluster, alike from every machine; no secret is in it.

    A cluster has an identifier from its making on, which its replicas share. Where a role may not ask for it, the
    moment of its start has to do. https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CONTROLDATA
    """
    with connect_source(source) as connection:
        may = connection.exec_driver_sql(
            "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')"
        ).scalar()
        cluster = "system_identifier::text FROM pg_control_system()" if may else "pg_postmaster_start_time()::text"
        named = connection.exec_driver_sql(f"SELECT current_database() || ' of ' || {cluster}").scalar()
    return str(named)
