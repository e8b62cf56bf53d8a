"""Alembic revisions of the outbox database."""
