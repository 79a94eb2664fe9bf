"""How alembic runs here: on the connection that `hub_ext.database.engine` opened."""

from alembic import context

from hub_ext.database.models import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
