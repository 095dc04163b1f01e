"""What ordinarily happens to a connection: its data is read, its provider is away, its user leaves.

Judged by the provider: its own counts and sums, its log, and what it takes and refuses.
"""

import asyncio
import math
import time
from contextlib import suppress
from decimal import Decimal
from uuid import UUID, uuid4

from client.connections import ConnectionsClient
from domain.commands import ConnectProvider
from domain.connection import provider_id_of
from domain.credentials import CredentialType
from domain.errors import MoorlineError
from domain.result import Success
from domain.secret import Secret
from domain.status import ConnectionStatus
from moorline.demo.judging import calls, check, refreshes, until
from moorline.demo.stage import BROKER, Stage, queue_of
from providers.readers.sandbox import PAGE
from providers.sandbox.ledger import Entry
from providers.sandbox.remote import Truth
from providers.sandbox.sessions import User
from storage import finances

MANY = 1_200
"""Transactions that are added to each account: several pages, so that a kill falls among them."""


async def connect_by_key(stage: Stage) -> str:
    """A broker that takes keys: verified before it is ACTIVE, read with the key."""
    made = await stage.sandbox.new_key("alice")
    client, connection_id = stage.on_queue(BROKER), uuid4()
    command = ConnectProvider(
        user_id=stage.user_id,
        provider_id=provider_id_of(BROKER),
        provider_slug=BROKER,
        credentials=await client.seal(
            connection_id, {"api_key": Secret(made.api_key)}, CredentialType.API_KEY
        ),
    )
    result = await client.connect_provider(command, connection_id)
    check(isinstance(result, Success), f"it was refused: {result}")
    seen = [entry for entry in await stage.sandbox.log(grant_id=made.key_id) if entry.acted]
    check(bool(seen), "the provider was not asked whether the key is good")
    await _read(client, connection_id)
    rows = await _check_same(stage, client, connection_id, "alice")
    return f"key verified, then ACTIVE; {rows} transactions read with it"


async def read_all(stage: Stage) -> str:
    """The first sync holds exactly what the provider says that there is."""
    view, _ = await stage.bring("demo-data")
    await _read(stage.connections, view.connection_id)
    rows = await _check_same(stage, stage.connections, view.connection_id, "alice")
    return f"3 accounts, 4 holdings, {rows} transactions: counts and sums equal the provider's"


async def outlast_outage(stage: Stage) -> str:
    """The provider answers 503: ACTIVE and degraded, said so, and recovered by itself."""
    view, _ = await stage.bring("demo-outage")
    client = stage.connections
    fault = await stage.sandbox.plant(
        "token", "status", status=503, times=None, client_id="demo-outage"
    )
    refreshing = asyncio.ensure_future(client.refresh(view.connection_id))

    async def degraded() -> bool:
        return (await client.view(view.connection_id)).trouble is not None

    await until(degraded, "the outage was not noticed")
    during = await client.view(view.connection_id)
    check(during.status is ConnectionStatus.ACTIVE, f"it is {during.status}")
    explained = await client.explain(view.connection_id)
    check(explained.who_must_act == "provider", f"it says that the {explained.who_must_act} must")
    await stage.sandbox.clear(fault)

    async def recovered() -> bool:
        after = await client.view(view.connection_id)
        return after.trouble is None and after.generation > view.generation

    await until(recovered, "it did not recover")
    await asyncio.gather(refreshing, return_exceptions=True)  # whose caller may have given up
    failed, recovery = await _outage(stage)
    check(recovery.started_at > failed[-1].started_at, "the provider saw no refresh after it")
    times = "once" if len(failed) == 1 else f"{len(failed)} times"
    return f"provider's log: 503 {times}, then refreshed; ACTIVE throughout, said who must act"


async def _outage(stage: Stage) -> tuple[list[Entry], Entry]:
    """The refreshes that the provider failed, and the one that it granted."""
    seen = await refreshes(stage, "demo-outage")
    failed = [entry for entry in seen if entry.status == 503]
    granted = [entry for entry in seen if entry.status == 200 and entry.rotated]
    check(bool(failed), "the provider's log shows no outage")
    check(len(granted) == 1, f"the provider's log shows {len(granted)} refreshes, not one")
    return failed, granted[0]


async def find_taken_away(stage: Stage) -> str:
    """The user takes access away at the provider: REVOKED, and the reason says who did it."""
    view, grant_id = await stage.bring("demo-taken")
    await stage.sandbox.take_away(grant_id)
    with suppress(MoorlineError):  # there is nothing to refresh any more; its state tells
        await stage.connections.refresh(view.connection_id)
    after = await stage.connections.view(view.connection_id)
    check(after.status is ConnectionStatus.REVOKED, f"it is {after.status}")
    check(after.reason == "provider_revoked", f"the reason is {after.reason}")
    grant = await stage.sandbox.grant(grant_id)
    check(grant.revoked_by == "user", f"at the provider it was revoked by {grant.revoked_by}")
    seen = await refreshes(stage, "demo-taken")
    refused = [entry for entry in seen if entry.error == "invalid_grant" and not entry.acted]
    check(len(seen) == len(refused) == 1, f"the provider saw {len(seen)} refreshes, not one")
    return "provider's log: taken away by its user, one refresh refused; REVOKED (provider_revoked)"


async def go_on_after_kill(stage: Stage) -> str:
    """The worker is killed in the middle of a sync; the next one goes on where it was."""
    slug = "demo-cut"
    await stage.sandbox.grow("bob", MANY)
    slow = await stage.sandbox.plant("api", "delay", seconds=0.4, times=None, client_id=slug)
    worker = await stage.development.start_worker(
        f"worker-{slug}", MOORLINE_TASK_QUEUE=queue_of(slug)
    )
    view, _ = await stage.bring(slug, user="bob")
    client = stage.on_queue(slug)

    async def in_the_middle() -> int:
        rows = sum(each.transactions for each in await _held(stage, view.connection_id))
        return rows if rows >= 1_000 else 0

    kept = await until(in_the_middle, "the sync never came to its middle")
    worker.kill()
    killed_at = time.monotonic()
    await worker.wait()
    await stage.sandbox.clear(slow)
    check((await client.view(view.connection_id)).sync is None, "it was through already")
    before = await calls(stage, slug, "api")
    needed = await _calls_left(stage, view.connection_id, "bob")
    await stage.development.stack.restart(f"worker-{slug}")
    await _read(client, view.connection_id)
    seconds = time.monotonic() - killed_at
    rows = await _check_same(stage, client, view.connection_id, "bob")
    asked = len(await calls(stage, slug, "api")) - len(before)
    check(asked <= needed, f"the provider was asked {asked} times for what {needed} bring")
    return (
        f"killed after {kept} of {rows} transactions; provider's log: {asked} calls for the rest, "
        f"no page twice, within {seconds:.0f} s"
    )


async def _calls_left(stage: Stage, connection_id: UUID, user: User) -> int:
    """How many calls bring what we do not hold yet, if no page is read a second time."""
    held = {each.id: each.transactions for each in await _held(stage, connection_id)}
    missing = [
        each.transactions - held.get(each.id, 0) for each in await stage.sandbox.finances(user)
    ]
    return 1 + sum(1 + max(1, math.ceil(count / PAGE)) for count in missing)


async def _read(client: ConnectionsClient, connection_id: UUID) -> None:
    async def read() -> bool:
        sync = (await client.view(connection_id)).sync
        return sync is not None and sync.completed > 0

    await until(read, "its data was not read")


async def _check_same(
    stage: Stage, client: ConnectionsClient, connection_id: UUID, user: User
) -> int:
    """How many transactions there are, here and at the provider alike."""
    truth = sorted(await stage.sandbox.finances(user), key=_id)
    check(sorted(await _held(stage, connection_id), key=_id) == truth, "the copy is not the same")
    types = [row.type for row in await client.events(connection_id)]
    check("DataSynced" in types, "no event tells of it")
    return sum(each.transactions for each in truth)


def _id(truth: Truth) -> str:
    return truth.id


async def _held(stage: Stage, connection_id: UUID) -> list[Truth]:
    """What we hold of each account, in the provider's own terms."""
    async with stage.parts.database.transaction() as session:
        accounts = await finances.accounts(session, connection_id)
        holdings = await finances.holdings(session, connection_id)
        transactions = await finances.transactions(session, connection_id, limit=1_000_000)
    return [
        Truth(
            id=account.source_id,
            currency=account.currency,
            balance=account.balance,
            transactions=sum(of.id == account.id for of, _ in transactions),
            sum=sum((row.amount for of, row in transactions if of.id == account.id), Decimal(0)),
            holdings=sum(of.id == account.id for of, _ in holdings),
            value=sum((row.value for of, row in holdings if of.id == account.id), Decimal(0)),
        )
        for account in accounts
    ]
