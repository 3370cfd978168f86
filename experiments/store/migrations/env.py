"""Alembic's entry: runs the migrations on the connection it is handed, inside its transaction."""

from alembic import context

from experiments.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
