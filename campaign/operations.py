"""What people do with connections during a campaign, through the client SDK and over HTTP.

Everything is drawn from the seed; what came of each is counted. A caller may be refused in our own
words at any time, and never sees anything else: that would be a surprise, and is written down.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx

from campaign.apps import APPS, App
from campaign.clients import Clients
from campaign.diary import Diary, Known, Leased
from domain.commands import ConnectProvider
from domain.connection import provider_id_of
from domain.credentials import CredentialType
from domain.errors import MoorlineError, StorageFault
from domain.secret import Secret
from providers.sandbox.canaries import digest
from providers.sandbox.remote import Remote

EVERY_S: Final = 0.5
"""On average; people do not wait for one another."""
AT_ONCE: Final = 40
WITHIN_S: Final = 150
"""Longer than any call of the client may take by its own rules."""
FINISH_S: Final = 30
ANSWERED: Final = frozenset({200, 404, 409, 429, 500, 502, 503})
"""What the gateway may say of a lease; 500 is a surprise."""

Act = Callable[[Known], Awaitable[None]]


class People:
    """Those who use the connections."""

    def __init__(
        self, clients: Clients, sandbox: Remote, diary: Diary, seed: int, connections: int
    ) -> None:
        self._clients = clients
        self._sandbox = sandbox
        self._diary = diary
        self._dice = random.Random(f"operations of {seed}")
        self._wanted = connections
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._doing: set[asyncio.Task[None]] = set()
        self._acts: dict[str, tuple[int, Act]] = {
            "lease": (40, self._lease),
            "lease over HTTP": (20, self._lease_over_http),
            "sync": (8, self._sync),
            "refresh": (6, self._refresh),
            "re-authorize": (7, self._reauthorize),
            "rename": (3, self._rename),
            "revoke": (3, self._revoke),
            "disconnect": (4, self._disconnect),
        }

    async def begin(self) -> None:
        """The first connections, before anything goes wrong."""
        drawn = self._dice.choices(APPS, [app.share for app in APPS], k=self._wanted)
        await asyncio.gather(*(self._counted("connect", self._connect, new(app)) for app in drawn))

    async def go_on(self) -> None:
        """Do one thing after another until cancelled."""
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / EVERY_S))
            task = asyncio.create_task(self._draw())
            self._doing.add(task)
            task.add_done_callback(self._doing.discard)

    async def finish(self) -> None:
        """Come to the end of what was begun; what takes too long is given up."""
        if self._doing:
            await asyncio.wait(self._doing, timeout=FINISH_S)
        await self.stop()

    async def stop(self) -> None:
        """Let go of what is being done."""
        for task in self._doing:
            task.cancel()
        await asyncio.gather(*self._doing, return_exceptions=True)

    def _draw(self) -> Coroutine[object, object, None]:
        living = [each for each in self._diary.known if not each.end_asked]
        if len(living) < self._wanted:
            app = self._dice.choices(APPS, [app.share for app in APPS])[0]
            return self._counted("connect", self._connect, new(app))
        names = list(self._acts)
        (name,) = self._dice.choices(names, [self._acts[each][0] for each in names])
        # Those who are gone are asked for leases, too: they must not get one.
        whom = self._diary.known if name.startswith("lease") else living
        return self._counted(name, self._acts[name][1], self._dice.choice(whom))

    async def _counted(self, name: str, act: Act, known: Known) -> None:
        async with self._at_once:
            outcome = await self._outcome(name, act, known)
        self._diary.operations[name, outcome] += 1

    async def _outcome(self, name: str, act: Act, known: Known) -> str:
        try:
            async with asyncio.timeout(WITHIN_S):
                await act(known)
        except StorageFault as error:
            self._surprise(name, known, f"StorageFault: {error}")
            return "StorageFault"
        except Refused as refused:
            return str(refused)
        except MoorlineError as error:
            return type(error).__name__
        except TimeoutError:
            return "no answer in time"
        except Busy:
            return "left out"
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is a finding
            self._surprise(name, known, f"{type(error).__name__}: {error}")
            return "surprise"
        return "done"

    def _surprise(self, name: str, known: Known, said: str) -> None:
        line = f"{name} of {known.connection_id}: {said}"
        self._diary.surprises.append(line)
        self._diary.write("surprise", said=line)

    # -- one for each thing that people do -------------------------------------------------------

    async def _connect(self, known: Known) -> None:
        self._diary.known.append(known)
        async with changing(known):
            if known.app.rotation == "key":
                await self._bring_key(known)
                return
            begun = await self._clients.sdk.connect(
                known.app.slug, uuid4(), connection_id=known.connection_id
            )
            await self._consent(known, begun.attempt_id)

    async def _bring_key(self, known: Known) -> None:
        made = await self._sandbox.new_key()
        slug = known.app.slug
        sealed = await self._clients.sdk.seal(
            known.connection_id, {"api_key": Secret(made.api_key)}, CredentialType.API_KEY
        )
        command = ConnectProvider(
            user_id=uuid4(),
            provider_id=provider_id_of(slug),
            provider_slug=slug,
            credentials=sealed,
        )
        await self._clients.sdk.connect_provider(command, known.connection_id)

    async def _consent(self, known: Known, attempt_id: UUID) -> None:
        back = await self._sandbox.authorize(await self._clients.sdk.provider_url(attempt_id))
        (code,) = parse_qs(urlsplit(back).query)["code"]
        self._diary.codes[digest(code)] = known.connection_id
        received = await self._clients.sdk.receive_redirect(back, connection_id=known.connection_id)
        await self._clients.sdk.authorize(received)

    async def _reauthorize(self, known: Known) -> None:
        async with changing(known):
            if known.app.rotation == "key":
                made = await self._sandbox.new_key()
                await self._clients.sdk.supply_key(known.connection_id, Secret(made.api_key))
                return
            begun = await self._clients.sdk.begin_authorization(known.connection_id)
            await self._consent(known, begun.attempt_id)

    async def _lease(self, known: Known) -> None:
        asked_at = time.time()
        taken = await self._clients.sdk.lease(known.connection_id, timedelta(seconds=2))
        self._diary.leases.append(Leased(known.connection_id, asked_at, taken.generation))

    async def _lease_over_http(self, known: Known) -> None:
        asked_at = time.time()
        try:
            answer = await self._clients.http.post(
                f"/v1/connections/{known.connection_id}/lease", json={"min_ttl_s": 2}
            )
        except httpx.TransportError:
            raise Refused("no gateway") from None
        if answer.status_code not in ANSWERED or answer.status_code == 500:
            raise AssertionError(f"the gateway answered {answer.status_code}")
        if answer.status_code != 200:
            raise Refused(f"{answer.status_code}")
        generation = answer.json()["generation"]
        self._diary.leases.append(Leased(known.connection_id, asked_at, generation))

    async def _sync(self, known: Known) -> None:
        await self._clients.sdk.sync_now(known.connection_id)

    async def _refresh(self, known: Known) -> None:
        known.refreshes_asked.append(time.time())
        await self._clients.sdk.refresh(known.connection_id)

    async def _rename(self, known: Known) -> None:
        await self._clients.sdk.rename(known.connection_id, f"name {time.time():.0f}")

    async def _revoke(self, known: Known) -> None:
        async with changing(known):
            known.revoke_asked = True
            await self._clients.sdk.revoke(known.connection_id)

    async def _disconnect(self, known: Known) -> None:
        async with changing(known):
            known.end_asked = True
            await self._clients.sdk.disconnect(known.connection_id)
            known.ended_at = time.time()


class Busy(Exception):
    """Somebody changes this connection already."""


class Refused(MoorlineError):
    """The gateway was away, or said no."""


def new(app: App) -> Known:
    """A connection that is about to be begun."""
    return Known(uuid4(), app)


@asynccontextmanager
async def changing(known: Known) -> AsyncIterator[None]:
    """One at a time changes a connection: two who do it at once prove nothing."""
    if known.busy:
        raise Busy
    known.busy = True
    try:
        yield
    finally:
        known.busy = False
