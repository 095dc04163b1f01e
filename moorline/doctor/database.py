"""PostgreSQL: whether it answers, has our shape, and holds nothing we have no key for."""

from collections.abc import AsyncIterator

from domain.errors import NotConfigured, Unreachable
from domain.explanation import CAUSE, READING, instant
from domain.syncs import SyncOutcome
from moorline.doctor.findings import Finding, bad, ok, warn
from moorline.settings import Settings
from storage import data_keys, provider_apps, schema, syncs, views
from storage.database import Database


async def reachable(database: Database) -> AsyncIterator[Finding]:
    """Whether it answers and is migrated."""
    url = database.engine.url
    where = f"{url.host}:{url.port or 5432}/{url.database}"
    try:
        await schema.check(database)
    except NotConfigured as error:
        yield bad("database", f"{where}: {error}")
    except Unreachable:
        mend = "start it (`moorline dev`), or correct MOORLINE_DATABASE_URL"
        yield bad("database", f"{where} does not answer", mend)
    else:
        yield ok("database", f"{where} answers, at revision {schema.newest_revision()}")


async def key_ids(database: Database, settings: Settings) -> AsyncIterator[Finding]:
    """Whether every data key can be unwrapped by a key we have."""
    async with database.transaction() as session:
        counted = await data_keys.count_by_key(session)
    known = settings.keyring().keys
    lost = {key_id: count for key_id, count in counted.items() if key_id not in known}
    for key_id, count in lost.items():
        yield bad(
            "stored keys",
            f"{count} connections are sealed under the key {key_id!r}, which is not in "
            "MOORLINE_KEYS",
            f"add {key_id!r} to MOORLINE_KEYS again: without it their secrets do not open",
        )
    if not lost:
        yield ok("stored keys", f"{sum(counted.values())} data keys, all under keys we have")


async def apps(database: Database) -> AsyncIterator[Finding]:
    """Providers that refuse our own registration."""
    async with database.transaction() as session:
        troubled = await provider_apps.in_trouble(session)
    for row in troubled:
        since = f" since {instant(row.misconfigured_since)}" if row.misconfigured_since else ""
        yield bad(
            "provider apps",
            f"{row.provider_slug} refuses our client id or secret{since} "
            f"({row.misconfigured_code or 'no code'})",
            "correct client_id and client_secret of its entry, then restart the worker",
        )
    if not troubled:
        yield ok("provider apps", "no provider refuses ours")


async def refreshes(database: Database) -> AsyncIterator[Finding]:
    """Connections whose access tokens cannot be refreshed for now, or keys verified."""
    async with database.transaction() as session:
        degraded = await views.degraded(session)
    for cause, count in degraded.items():
        said = f"{count} ACTIVE connections are degraded: {CAUSE[cause]}"
        yield warn("refreshes", said, "`moorline list` marks them, `moorline explain ID` says more")
    if not degraded:
        yield ok("refreshes", "no connection is degraded")


async def data(database: Database) -> AsyncIterator[Finding]:
    """Connections whose data cannot be read."""
    async with database.transaction() as session:
        failing = await syncs.failing(session)
    for outcome, count in failing.items():
        why = READING[SyncOutcome(outcome)]
        mend = "`moorline explain ID` says which way it is with one; it is tried again by itself"
        yield warn("data", f"of {count} connections it cannot be read: {why}", mend)
    if not failing:
        yield ok("data", "what is to be read can be read")
