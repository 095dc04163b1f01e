"""A lease from the command line: Temporal is asked only if the token at hand is too old."""

from datetime import timedelta
from uuid import UUID

from client.leasing import Lease, Leases
from moorline.cli.opening import everything, naming_the_way_back, stored
from moorline.settings import load
from storage.vault import Vault


class _TooOld(Exception):
    """The token at hand does not live long enough."""


async def lease(connection_id: UUID, min_ttl: timedelta) -> Lease:
    """An access token that lives at least so long.

    Raises:
        MoorlineError: there is none to be had; says why.
    """
    vault = Vault(load().keyring())
    async with naming_the_way_back(connection_id):
        try:
            async with stored() as database:
                return await Leases(database, vault, _refuse).lease(connection_id, min_ttl)
        except _TooOld:
            async with everything() as parts:
                return await parts.connections.lease(connection_id, min_ttl)


async def _refuse(*_: object) -> None:
    raise _TooOld
