"""One suite for the store, run on SQLite and on PostgreSQL."""
