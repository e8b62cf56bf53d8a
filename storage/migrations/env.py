"""Run by alembic: applies the revisions to the connection that `storage.upgrade` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
# The caller owns the transaction: an upgrade is applied whole or not at all.
context.run_migrations()
