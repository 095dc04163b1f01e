"""When a connect session was confirmed; and what is looked for every few seconds is found."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "connect_sessions", sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True)
    )
    for name, table, column, condition in (
        ("sessions_open", "connect_sessions", "expires_at", "finished_at IS NULL"),
        ("sessions_over", "connect_sessions", "finished_at", "finished_at IS NOT NULL"),
        ("attempts_parked", "authorization_attempts", "code_until", "status = 'parked'"),
        ("staged_keys", "staged_credentials", "created_at", "provider_slug IS NULL"),
    ):
        op.create_index(name, table, [column], postgresql_where=sa.text(condition))
    op.create_index("events_of_users", "events", ["user_id", "xid", "position"])
    op.create_index("connections_by_age", "connections", ["created_at", "id"])
