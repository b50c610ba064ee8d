"""PostgreSQL: connections, snapshots, locks."""
