"""The steps of the story. Each answers with what was seen, or fails with what was not.

What is checked is what the provider logged, what the files hold, and what Temporal's own tool
says; what Moorline says of itself is only shown.
"""

import asyncio
import random
from itertools import pairwise
from uuid import UUID

import httpx

from domain.status import ConnectionStatus
from moorline.demo.canaries import CANARY, hunt
from moorline.demo.judging import (
    WITHIN,
    accepts,
    calls,
    check,
    has_data_key,
    refreshes,
    refuses_leases,
    revoked_newest,
    until,
)
from moorline.demo.people import visit
from moorline.demo.stage import ACCESS_TTL_S, Stage

REFRESHES = 3


async def stack_up(stage: Stage) -> str:
    """Servers are up, and say themselves what they are."""
    versions = stage.development.stack.versions
    async with httpx.AsyncClient(trust_env=False) as http:
        ui = await http.get(stage.development.stack.ui_url)
    check(ui.status_code == 200, "the web UI does not answer")
    return (
        f"Temporal {versions['temporal']}, web UI {versions['ui']}, "
        f"PostgreSQL {versions['postgresql']}"
    )


async def connect(stage: Stage, connection_id: UUID) -> str:
    """PENDING, then ACTIVE by a real login with code and PKCE."""
    begun = await stage.connections.connect(
        "demo-main", stage.user_id, connection_id=connection_id, alias="my bank"
    )
    pending = await stage.connections.view(connection_id)
    check(pending.status is ConnectionStatus.PENDING, f"it is {pending.status}")
    active = await stage.log_in(begun)
    check(active.status is ConnectionStatus.ACTIVE, f"it is {active.status}")
    codes = [e for e in await calls(stage, "demo-main") if e.presented == "code"]
    check(len(codes) == 1, f"the provider saw {len(codes)} exchanges of the code")
    return "one code, exchanged once with its PKCE verifier"


async def bring(stage: Stage) -> str:
    """A grant obtained elsewhere is imported and used."""
    view, _ = await stage.bring("demo-import")
    check(view.status is ConnectionStatus.ACTIVE, f"it is {view.status}")
    lease = await stage.connections.lease(view.connection_id)
    check(await accepts(stage, lease.access_token.reveal()), "the provider refuses its token")
    again = await stage.connections.refresh(view.connection_id)
    (entry,) = await refreshes(stage, "demo-import")
    check(entry.rotated and entry.status == 200, "the provider did not refresh it")
    return f"born ACTIVE, leased, refreshed to generation {again.generation}"


async def keep_fresh(stage: Stage, connection_id: UUID) -> str:
    """Short tokens are refreshed before they end, and every leased one works."""
    dice = random.Random(7)  # noqa: S311 -- moments, not secrets
    leases = 0
    while len(await refreshes(stage, "demo-main")) < REFRESHES:
        lease = await stage.connections.lease(connection_id)
        check(await accepts(stage, lease.access_token.reveal()), "a leased token was refused")
        leases += 1
        await asyncio.sleep(dice.uniform(0, 1.5))
    seen = await calls(stage, "demo-main")
    for earlier, later in pairwise(seen):
        check((earlier.finished_at or 0) <= later.started_at, "two token calls overlapped")
        check(later.started_at < earlier.started_at + ACCESS_TTL_S, "a token ended unrefreshed")
    worn = [e for e in await refreshes(stage, "demo-main") if e.presented != "current"]
    check(not worn, "a rotated-out token was presented")
    return f"{len(seen) - 1} refreshes, {leases} leases at random moments: all accepted"


async def revoke(stage: Stage, connection_id: UUID) -> str:
    """The user takes the grant back: REVOKED, and the newest token is revoked at the provider."""
    await stage.connections.revoke(connection_id)
    await stage.connections.wait_for(connection_id, ConnectionStatus.REVOKED, within=WITHIN)
    entry = await revoked_newest(stage, "demo-main")
    check(await refuses_leases(stage, connection_id), "a token was still handed out")

    async def shredded() -> bool:
        return not await has_data_key(stage, connection_id)

    await until(shredded, "secrets were kept")
    return f"the provider revoked its newest grant ({entry.presented} refresh token)"


async def reauthorize(stage: Stage, connection_id: UUID) -> str:
    """Authorized again in place: the same id, ACTIVE."""
    begun = await stage.connections.begin_authorization(connection_id)
    await visit(begun.url)
    received = await stage.loopback.received(connection_id)
    view = await stage.connections.authorize(received)
    check(view.connection_id == connection_id, "it has another id")
    check(view.status is ConnectionStatus.ACTIVE, f"it is {view.status}")
    lease = await stage.connections.lease(connection_id)
    check(await accepts(stage, lease.access_token.reveal()), "its token does not work")
    return f"same id, generation {view.generation}"


async def disconnect(stage: Stage, connection_id: UUID) -> str:
    """Ended: no lease from the acknowledgement on, revoked, shredded, receipt, workflow over."""
    await stage.connections.disconnect(connection_id)
    check(await refuses_leases(stage, connection_id), "a token was still handed out")
    receipt = await stage.connections.receipt(connection_id)
    check({t.result for t in receipt.tokens} == {"revoked"}, f"the receipt says {receipt.tokens}")
    await revoked_newest(stage, "demo-main")
    view = await stage.connections.view(connection_id)
    check(view.status is ConnectionStatus.DISCONNECTED, f"it is {view.status}")
    check(not await has_data_key(stage, connection_id), "its data key still exists")
    grants = [g for g in await stage.sandbox.grants() if g.client_id == "demo-main"]
    check(not any(grant.live for grant in grants), "a grant is still alive at the provider")
    return f"receipt: {', '.join(f'{t.token} {t.result}' for t in receipt.tokens)}; data key gone"


async def hunt_canaries(stage: Stage) -> str:
    """No file holds a token or a secret; and the hunter is shown to find one."""
    planted = stage.state / "planted"
    planted.write_bytes(b"...." + CANARY + b"at-here")
    check(hunt(stage.state).found == (planted,), "the hunter does not find what was planted")
    planted.unlink()
    result = hunt(stage.state)
    check(not result.found, f"secrets in {', '.join(str(path) for path in result.found)}")
    return (
        f"{result.files} files, {result.megabytes:.0f} MB of databases and logs: "
        "no token, no secret"
    )
