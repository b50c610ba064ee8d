"""A real PostgreSQL of this user, on the loopback."""
