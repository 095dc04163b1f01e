"""How long people and providers are waited for, and what becomes of a connection then."""

from datetime import datetime, timedelta
from typing import Final

from domain.status import ConnectionStatus

AUTHORIZATION_WINDOW: Final = timedelta(minutes=30)
"""How long a user has to finish authorizing."""
RETENTION: Final = timedelta(days=90)
"""How long a connection that needs its user waits for them, before it is disconnected."""
RETENTION_NEVER_ACTIVE: Final = timedelta(hours=24)
"""The same for one that never was ACTIVE."""
REVOCATION_PATIENCE: Final = timedelta(hours=24)
"""How long a provider is asked to revoke before we give up and destroy our copy."""


def given_up_at(
    status: ConnectionStatus, since: datetime, connected_at: datetime | None
) -> datetime | None:
    """When waiting for the user ends by itself; None: nobody is waited for.

    Args:
        since: when this status began.
        connected_at: when it was ACTIVE for the first time; None: never.
    """
    match status:
        case ConnectionStatus.PENDING:
            return since + AUTHORIZATION_WINDOW
        case ConnectionStatus.EXPIRED | ConnectionStatus.REVOKED | ConnectionStatus.FAILED:
            return since + (RETENTION if connected_at else RETENTION_NEVER_ACTIVE)
        case ConnectionStatus.ACTIVE | ConnectionStatus.DISCONNECTED:
            return None
