"""Alembic's entry point. Only ``storage.schema`` runs it, and hands it an open connection."""

from alembic import context
from sqlmodel import SQLModel

from storage import tables

assert tables  # imported so that the tables are known

context.configure(
    connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata
)
with context.begin_transaction():
    context.run_migrations()
