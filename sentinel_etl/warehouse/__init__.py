"""ClickHouse: the engine, statements, tables, views."""
