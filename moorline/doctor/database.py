"""PostgreSQL: whether it answers, has our shape, and holds nothing we have no key for."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from sqlmodel import col, select

from domain.errors import NotConfigured, StorageFault, Unreachable
from domain.outcomes import Outcome
from domain.syncs import SyncOutcome
from domain.words import CAUSE, READING, instant
from moorline.doctor.configuration import lack_of
from moorline.doctor.findings import Finding, bad, ok, warn
from moorline.settings import Settings
from providers.catalogue import Catalogue
from storage import data_keys, provider_apps, schema, syncs, views
from storage.database import Database
from storage.tables import DataKeyRow, ProviderAppRow
from storage.vault import Vault

SAMPLES: Final = 3
ROLLED_BACK: Final = (
    "restore a later state of the database, or have their users authorize again; where a provider "
    "never rotates refresh tokens, `temporal workflow terminate -w connection-ID` and `moorline "
    "doctor --fix` go on with the stored ones"
)


async def reachable(database: Database) -> AsyncIterator[Finding]:
    """Whether it answers and is migrated."""
    url = database.engine.url
    where = f"{url.host}:{url.port or 5432}/{url.database}"
    try:
        await schema.check(database)
    except NotConfigured as error:
        mend = "`moorline migrate` makes an empty or an older one ready"
        yield bad("database", f"{where}: {error}", mend)
    except Unreachable:
        mend = "start it (`moorline dev`), or correct MOORLINE_DATABASE_URL"
        yield bad("database", f"{where} does not answer", mend)
    else:
        yield ok("database", f"{where} answers, at revision {schema.newest_revision()}")


async def key_ids(database: Database, settings: Settings) -> AsyncIterator[Finding]:
    """Whether every data key can be unwrapped by a key we have: by its id, and by its bytes."""
    keyring = settings.keyring()
    async with database.transaction() as session:
        counted = await data_keys.count_by_key(session)
    lost = {key_id: count for key_id, count in counted.items() if key_id not in keyring.keys}
    for key_id, count in lost.items():
        yield bad(
            "stored keys",
            f"{count} connections are sealed under the key {key_id!r}, which is not in "
            "MOORLINE_KEYS",
            f"add {key_id!r} to MOORLINE_KEYS again: without it their secrets do not open",
        )
    others = [key_id for key_id in counted if key_id not in lost]
    closed = [key_id for key_id in others if not await _opens(database, Vault(keyring), key_id)]
    for key_id in closed:
        yield bad(
            "stored keys",
            f"the key {key_id!r} of MOORLINE_KEYS opens nothing of {counted[key_id]} connections "
            "that are sealed under this id: it has other bytes than it had",
            f"give {key_id!r} its old bytes back in MOORLINE_KEYS, and a new key an id of its own",
        )
    if not lost and not closed:
        yield ok("stored keys", f"{sum(counted.values())} data keys, all under keys we have")


async def _opens(database: Database, vault: Vault, key_id: str) -> bool:
    """Whether a key opens any of the newest data keys it is said to have wrapped."""
    query = select(DataKeyRow.connection_id).where(DataKeyRow.key_id == key_id)
    async with database.transaction() as session:
        newest = await session.exec(query.order_by(col(DataKeyRow.id).desc()).limit(SAMPLES))
        stored = [await data_keys.find(session, connection_id) for connection_id in newest.all()]
    for wrapped in stored:
        with suppress(StorageFault):
            if wrapped is None or vault.unwrap(wrapped):
                return True  # one that is gone by now says nothing against the key
    return not stored


async def apps(database: Database, settings: Settings) -> AsyncIterator[Finding]:
    """Providers that refuse our own registration, or could not be asked for want of it."""
    known = Catalogue.read(settings.providers)
    async with database.transaction() as session:
        troubled = await provider_apps.in_trouble(session)
    for row in troubled:
        yield _misconfigured(row, lack_of(known, row.provider_slug))
    if not troubled:
        yield ok("provider apps", "no provider refuses ours")


def _misconfigured(row: ProviderAppRow, lack: str | None) -> Finding:
    slug = row.provider_slug
    since = f" since {instant(row.misconfigured_since)}" if row.misconfigured_since else ""
    if row.misconfigured_code is not None:
        said = f"{slug} refuses our client id or secret{since} ({row.misconfigured_code})"
        mend = "correct client_id and client_secret of its entry, then restart the worker"
    elif lack is not None:
        said = f"{slug} cannot be asked{since}: {lack}"
        mend = "set it for workers, then restart them"
    else:
        said = f"{slug} could not be asked, or refused us without a code{since}"
        mend = f"give workers the client id and secret that `moorline providers check {slug}` used"
    return bad("provider apps", said, mend)


async def refreshes(database: Database) -> AsyncIterator[Finding]:
    """Connections whose access tokens cannot be refreshed for now, or keys verified."""
    async with database.transaction() as session:
        degraded = await views.degraded(session)
    for cause, count in degraded.items():
        said = f"{count} ACTIVE connections are degraded: {CAUSE[cause]}"
        if cause is Outcome.ROLLED_BACK:
            yield bad("refreshes", said, ROLLED_BACK)
            continue
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
