"""Reading what a lease needs in one statement: consistent, and true at one instant of the database.

From the commit that sets ``ended_at`` or leaves ACTIVE, this answers that there is nothing to
hand out.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import and_, bindparam, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import NotFound
from domain.status import ConnectionStatus
from storage.tables import ConnectionRow, CredentialsRow, DataKeyRow
from storage.vault import WrappedKey


@dataclass(frozen=True)
class Leasable:
    """A connection's token, still sealed, and what decides whether it may be handed out."""

    connection: ConnectionRow = field(repr=False)
    credentials: CredentialsRow = field(repr=False)
    data_key: WrappedKey | None = field(repr=False)
    now: datetime

    @property
    def available(self) -> bool:
        """Whether the connection is ACTIVE and its end has not been asked for."""
        live = self.connection.status == ConnectionStatus.ACTIVE
        return live and self.connection.ended_at is None

    @property
    def lifetime(self) -> timedelta | None:
        """How long the token lives in all; None if nobody said."""
        if self.credentials.expires_at is None or self.credentials.sent_at is None:
            return None
        return self.credentials.expires_at - self.credentials.sent_at

    @property
    def remaining(self) -> timedelta | None:
        """How long it lives still; None if nobody said."""
        if self.credentials.expires_at is None:
            return None
        return self.credentials.expires_at - self.now


async def read(session: AsyncSession, connection_id: UUID) -> Leasable:
    """What a lease of this connection would be made of.

    Raises:
        NotFound: there is no such connection.
    """
    found = (await session.exec(_LEASABLE, params={"id": connection_id})).first()
    if found is None:
        raise NotFound(f"no connection {connection_id}")
    connection, credentials, key, now = found
    wrapped = None
    if key is not None:
        wrapped = WrappedKey(key.id, key.connection_id, key.key_id, key.wrapped)
    return Leasable(connection, credentials, wrapped, now)


# Built once: building it costs a quarter of a lease.
_LEASABLE: Final = (
    select(ConnectionRow, CredentialsRow, DataKeyRow, func.clock_timestamp())
    .select_from(ConnectionRow)
    .join(CredentialsRow)
    .outerjoin(
        DataKeyRow,
        # Its own: another's would open another's token, had somebody put both in this row.
        and_(
            col(DataKeyRow.id) == CredentialsRow.data_key_id,
            col(DataKeyRow.connection_id) == ConnectionRow.id,
        ),
    )
    .where(ConnectionRow.id == bindparam("id"))
)
