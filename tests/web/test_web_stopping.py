"""A gateway that is told to stop while somebody waits for its answer."""

import asyncio
from datetime import timedelta

import httpx

from domain.roles import Role
from gateway.app import create_app
from gateway.options import Options
from moorline.listening import listen, serving
from moorline.stack.ports import free_ports
from tests.web.gateway import new_key
from tests.web.test_web_connections import path_of, problem_of
from tests.world import World


async def test_bug_a_gateway_that_stopped_answered_500_to_those_who_waited_for_a_token(
    living: World,
) -> None:
    """They are told to ask again: another gateway, or this one's successor, will know."""
    view = await living.imported(expires_in=timedelta(hours=1))
    held = await living.plant("token", "delay", seconds=60)
    await living.damage("UPDATE credentials SET expires_at = now() - interval '1 second'")
    (port,) = free_ports(1)
    options = Options(public_url=f"http://127.0.0.1:{port}", application="A Test")
    app = create_app(living.connections, living.codec, living.database, options)
    key = await new_key(living, Role.LEASE)
    async with httpx.AsyncClient(
        base_url=options.public_url,
        headers={"Authorization": f"Bearer {key.reveal()}"},
        trust_env=False,
        timeout=60,
    ) as http:
        async with serving(app, listen("127.0.0.1", port)):
            asked = asyncio.create_task(http.post(path_of(view.connection_id, "/lease")))
            grant = await living.grant()
            await living.sandbox.logged(lambda call: not call.answered, grant_id=grant.id)
        answer = await asked
    assert problem_of(answer, 503, "unreachable")["detail"]
    assert int(answer.headers["Retry-After"]) > 0
    await living.sandbox.clear(held)
