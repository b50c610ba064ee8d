"""The databases for when no URLs are set: a real PostgreSQL and the real ClickHouse engine."""
