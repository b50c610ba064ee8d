"""What people do to many nights, or to the tables."""
