"""All checks, in the order in which things depend on one another."""

import os
from collections.abc import AsyncIterator, Callable

from temporalio.client import Client

from client.codec import EncryptionCodec
from client.messaging import Messaging
from client.temporal import configuration, connect
from domain.errors import MoorlineError, NotConfigured
from moorline.doctor import configuration as configured
from moorline.doctor import database as stored
from moorline.doctor import gateway, installation, temporal
from moorline.doctor.answers import answer, histories
from moorline.doctor.findings import Finding, Verdict, bad, ok
from moorline.doctor.lives import Unfinished, elsewhere, imports, lives, unfinished
from moorline.doctor.restored import brought_back
from moorline.doctor.running import look
from moorline.settings import Settings, TemporalSettings, load, load_as
from moorline.setup import in_words_of_temporal
from moorline.stack.errors import StackError
from storage.database import Database

AGAIN = "correct what it names (docs/settings.md), or wait until it answers; then ask again"
BUG = (
    "ask again; if it stays, tell the maintainers: MOORLINE_LOG_LEVEL=DEBUG with `moorline list` "
    "or `moorline setup` shows where it comes from"
)


class Examination:
    """One visit: every finding is told as it comes."""

    def __init__(self, tell: Callable[[Finding], None], *, fix: bool) -> None:
        self._tell = tell
        self._fix = fix
        self._worked = False
        self._codec: EncryptionCodec | None = None

    async def carry_out(self) -> None:
        """Check everything that can be checked."""
        await self._check("packages", installation.rooms())
        partial, settings = self._settings()
        if partial is not None:
            await self._check("payload keys", configured.payload_keys(partial))
            await self._check("providers", configured.catalogue(partial))
        living = None if settings is None else await self._examine_database(settings)
        client = await self._connected(partial)
        if client is not None and partial is not None:
            await self._examine_temporal(client, partial)
            if settings is not None and living is not None:
                await self._examine_lives(settings, client, living)
        if partial is not None:
            await self._check("gateway", gateway.answers(settings or partial))
        await self._check("ports", installation.ports())

    async def _examine_database(self, settings: Settings) -> Unfinished | None:
        """The connections that live, if they can be read."""
        has_keys = await self._check("keys", configured.data_keys(settings))
        database = Database(settings.database_url.get_secret_value())
        try:
            if not await self._check("database", stored.reachable(database)):
                return None
            if has_keys:
                await self._check("stored keys", stored.key_ids(database, settings))
            await self._check("provider apps", stored.apps(database, settings))
            await self._check("refreshes", stored.refreshes(database))
            await self._check("data", stored.data(database))
            living = await unfinished(database, everything=self._fix)
        except Exception as error:  # noqa: BLE001 -- see _stopped
            self._tell(_stopped("connections", error))
            return None
        finally:
            await database.close()
        await self._check("providers", configured.providers_in_use(settings, living.providers))
        return living

    async def _examine_lives(self, settings: Settings, client: Client, living: Unfinished) -> None:
        messaging = Messaging(client, settings.task_queue)
        try:
            with in_words_of_temporal(client):
                found = await look(client, living.views)
        except MoorlineError as error:
            self._tell(_stopped("connections", error))
            return
        opens = await self._check("histories", histories(client, self._codec, found))
        self._fix = self._fix and opens  # nobody could read what we would start
        database = Database(settings.database_url.get_secret_value())
        try:
            told = lives(living, found, database, messaging, fix=self._fix)
            healthy = await self._check("connections", told)
            await self._check("endings", brought_back(found, database, messaging, fix=self._fix))
            await self._check("imports", imports(database, messaging, fix=self._fix))
        finally:
            await database.close()
        await self._check("task queue", elsewhere(found, client, settings.task_queue))
        if healthy and opens and self._worked:
            await self._check("answers", answer(client, self._codec, found))

    async def _examine_temporal(self, client: Client, settings: TemporalSettings) -> None:
        await self._check("search attributes", temporal.attributes(client))
        self._worked = await self._check("workers", temporal.workers(client, settings))
        await self._check("worker version", temporal.version(client, settings))
        await self._check("calls per second", temporal.limit(client, settings))

    def _settings(self) -> tuple[TemporalSettings | None, Settings | None]:
        """What can be had of them: without a database there is still Temporal to look at."""
        partial = None
        try:
            partial = load_as(TemporalSettings)
            settings = load()
        except NotConfigured as error:
            mend = "set it, as docs/settings.md says, or start `moorline dev` in this folder"
            self._tell(bad("settings", str(error), mend))
            return partial, None
        self._tell(ok("settings", "all that are needed are set"))
        return partial, settings

    async def _connected(self, settings: TemporalSettings | None) -> Client | None:
        try:
            self._codec = None if settings is None else EncryptionCodec(settings.payload_keyring())
        except MoorlineError:
            self._fix = False  # told already; what follows only looks
        try:
            client = await connect(self._codec, os.environ)
        except MoorlineError as error:
            self._tell(bad("Temporal", str(error), "start it (`moorline dev`), or set TEMPORAL_*"))
            return None
        where = configuration(os.environ).get("target_host")
        self._tell(ok("Temporal", f"answers at {where}, namespace {client.namespace!r}"))
        return client

    async def _check(self, name: str, findings: AsyncIterator[Finding]) -> bool:
        """Tell what a check finds; whether nothing was bad. What stops it is a finding, too."""
        healthy = True
        async for finding in _surviving(name, findings):
            self._tell(finding)
            healthy = healthy and finding.verdict is not Verdict.BAD
        return healthy


async def _surviving(check: str, findings: AsyncIterator[Finding]) -> AsyncIterator[Finding]:
    try:
        async for finding in findings:
            yield finding
    except Exception as error:  # noqa: BLE001 -- see _stopped
        yield _stopped(check, error)


def _stopped(check: str, error: Exception) -> Finding:
    """What ended a check, as a finding: not even a bug of ours in one may hide the others."""
    if isinstance(error, MoorlineError | StackError):
        return bad(check, str(error), AGAIN)
    return bad(check, f"could not be checked: {type(error).__name__}", BUG)
