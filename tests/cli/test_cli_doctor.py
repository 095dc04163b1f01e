"""The doctor: every half-broken set-up has its line, and nothing of it ends the examination."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import TypeAdapter
from temporalio.testing import WorkflowEnvironment

from client.connections import ConnectionsClient
from client.messaging import Messaging
from client.temporal import data_converter
from domain.errors import Unreachable
from domain.outcomes import Outcome
from domain.status import ConnectionStatus
from moorline.doctor.findings import Finding, Verdict
from moorline.stack.temporal import binary
from storage.database import run
from storage.keyring import new_key
from tests.cli.terminal import Done, Terminal, bare_environment, free_port
from tests.world import World, until, write_entry
from workflows.messages import Revoke
from workflows.names import workflow_id

findings_of = TypeAdapter(list[Finding])
NOWHERE = "postgresql+asyncpg://moorline:mlcanary-password@127.0.0.1:1/nowhere"


def troubles(done: Done) -> dict[str, Finding]:
    """What is bad, by check."""
    found = findings_of.validate_json(done.out)
    assert all(finding.mend for finding in found if finding.verdict is not Verdict.OK), found
    return {finding.check: finding for finding in found if finding.verdict is Verdict.BAD}


async def test_where_all_is_well_every_line_is_ok(world: World, busy: Terminal) -> None:
    await world.connected()
    lines, as_json = await asyncio.gather(busy.run("doctor"), busy.run("doctor", "--json"))
    assert (lines.code, as_json.code) == (0, 0)
    assert troubles(as_json) == {}
    for check in ("packages", "settings", "keys", "database", "Temporal", "workers", "connections"):
        assert any(line.startswith(f"ok   {check} ") for line in lines.out.splitlines()), lines.out


async def test_a_terminated_workflow_is_found_and_started_again_from_its_row(
    world: World, busy: Terminal
) -> None:
    view, other = await world.connected(), await world.connected()
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.terminate("by somebody")
    refused = await busy.fails("rename", view.connection_id, "x")
    assert "`moorline doctor --fix`" in refused
    found = await busy.run("doctor", "--json")
    assert found.code == 1
    assert set(troubles(found)) == {"connections"}
    said = troubles(found)["connections"].said
    assert "1 of 2 have lost their workflow" in said
    assert str(view.connection_id) in said
    fixed = await busy.run("doctor", "--fix")
    assert fixed.code == 0, fixed.out
    assert "1 that had lost their workflow were started again" in fixed.out
    refreshed = await busy.run("refresh", view.connection_id)
    assert refreshed.out.startswith("Refreshed: access token 2")
    assert (await busy.run("token", other.connection_id)).code == 0


async def test_a_disconnect_that_lost_its_workflow_is_brought_to_its_end(
    world: World, busy: Terminal
) -> None:
    view = await world.connected()
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.terminate("by somebody")
    await busy.fails("disconnect", view.connection_id)
    await busy.fails("token", view.connection_id)
    assert (await busy.run("doctor", "--fix")).code == 0
    await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    assert (await world.grant()).revoked_by == "client"


async def test_a_command_that_was_kept_while_temporal_was_away_is_found_and_taken_up(
    world: World, busy: Terminal
) -> None:
    """Bug: nobody ever took it up."""
    connection_id = uuid4()
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary(), data_converter=data_converter(world.codec)
    ) as environment:
        nowhere = environment.client  # and then it is gone
    cut_off = ConnectionsClient(
        Messaging(nowhere, world.task_queue), world.database, world.vault, world.catalogue
    )
    with pytest.raises(Unreachable, match=r"kept.*doctor --fix"):
        await cut_off.connect_provider(await world.command(connection_id), connection_id)
    assert (await busy.run("doctor")).code == 0  # it may be on its way
    async with world.database.transaction() as session:
        past = "UPDATE staged_credentials SET created_at = created_at - interval '1 hour'"
        await run(session, past, {})
    found = await busy.run("doctor", "--json")
    assert "1 accepted for a connection that is not there yet" in troubles(found)["imports"].said
    fixed = await busy.run("doctor", "--fix")
    assert "1 that were accepted and forgotten have been taken up" in fixed.out

    async def is_born() -> bool:
        return [view.connection_id for view in await world.connections.list()] == [connection_id]

    await until(is_born)
    assert (await busy.run("doctor")).code == 0


async def test_nobody_at_work_is_found(world: World, terminal: Terminal) -> None:
    done = await terminal.run("doctor", "--json")
    assert done.code == 1
    trouble = troubles(done)["workers"]
    assert f"nobody asks for work on task queue {world.task_queue!r}" in trouble.said
    assert trouble.mend == "run `moorline worker`"


async def test_keys_that_are_gone_are_found_by_their_id(world: World, busy: Terminal) -> None:
    await world.connected()
    other, short, none = await asyncio.gather(
        busy.run("doctor", "--json", MOORLINE_KEYS=new_key("other")),
        busy.run("doctor", "--json", MOORLINE_KEYS="k1:bWxjYW5hcnk="),
        busy.run("doctor", "--json", MOORLINE_PAYLOAD_KEYS=None),
    )
    assert "1 connections are sealed under the key 'test'" in troubles(other)["stored keys"].said
    assert "has 8 bytes, not 32" in troubles(short)["keys"].said
    assert "MOORLINE_PAYLOAD_KEYS is not set" in troubles(none)["payload keys"].said


async def test_a_key_with_the_right_id_and_other_bytes_was_found_good(
    world: World, busy: Terminal
) -> None:
    """Bug: only ids were compared, and every refresh failed."""
    await world.connected()
    found = await busy.run("doctor", "--json", MOORLINE_KEYS=new_key("test"))
    trouble = troubles(found)["stored keys"]
    assert "the key 'test' of MOORLINE_KEYS opens nothing of 1 connections" in trouble.said
    assert trouble.mend is not None
    assert "give 'test' its old bytes back in MOORLINE_KEYS" in trouble.mend


@pytest.mark.parametrize("key_id", ["test", "other"])
async def test_payload_keys_here_that_are_not_those_of_the_workers_were_found_good(
    world: World, busy: Terminal, key_id: str
) -> None:
    """Bug: every connection has its workflow, said the doctor, and no message was understood."""
    await world.connected()
    found = await busy.run("doctor", "--json", "--fix", MOORLINE_PAYLOAD_KEYS=new_key(key_id))
    trouble = troubles(found)["histories"]
    assert "does not open with MOORLINE_PAYLOAD_KEYS" in trouble.said
    assert trouble.mend is not None
    assert "give all processes the same MOORLINE_PAYLOAD_KEYS" in trouble.mend


async def test_workers_with_other_payload_keys_are_found_before_and_after_they_are_stuck(
    world: World, terminal: Terminal
) -> None:
    """Bug: each has its workflow, said the doctor, and all of them stood still."""
    async with world.working():
        view = await world.connected()
    async with terminal.running("worker", MOORLINE_PAYLOAD_KEYS=new_key("test")) as worker:
        await worker.says("worker ready")
        quiet = await terminal.run("doctor", "--json")
        assert "its worker cannot take it up" in troubles(quiet)["answers"].said
        await world.messaging.tell(view.connection_id, "revoke", Revoke())

        async def is_stuck() -> bool:
            found = await terminal.run("doctor", "--json")
            return "connections" in troubles(found)

        await until(is_stuck)
        found = await terminal.run("doctor", "--json")
        trouble = troubles(found)["connections"]
        assert trouble.said.startswith("1 of 1 stand still")
        assert str(view.connection_id) in trouble.said
        assert trouble.mend is not None
        assert "MOORLINE_PAYLOAD_KEYS" in trouble.mend
    async with world.working():
        await world.becomes(view.connection_id, ConnectionStatus.REVOKED)
        assert (await terminal.run("doctor")).code == 0


async def test_a_limit_that_was_set_and_never_applied_was_not_found(
    world: World, busy: Terminal
) -> None:
    """Bug: providers were called without a limit, and nothing said so."""
    limited = {"MOORLINE_CALLS_PER_SECOND": "5"}
    trouble = troubles(await busy.run("doctor", "--json", **limited))["calls per second"]
    assert trouble.mend == "run `moorline setup` to apply it"
    await busy.run("setup", **limited)
    applied, unset = await asyncio.gather(busy.run("doctor", **limited), busy.run("doctor"))
    assert "ok   calls per second   5 to each provider" in applied.out
    assert "warn calls per second   a limit is kept" in unset.out
    assert (applied.code, unset.code) == (0, 0)


async def test_connections_on_another_task_queue_were_not_found(
    world: World, busy: Terminal
) -> None:
    """Bug: somebody works on the queue that is set, said the doctor, and nobody on theirs."""
    view = await world.connected()
    elsewhere = {"MOORLINE_TASK_QUEUE": f"{world.task_queue}-new"}
    worked = findings_of.validate_json((await busy.run("doctor", "--json", **elsewhere)).out)
    (finding,) = [finding for finding in worked if finding.check == "task queue"]
    assert finding.verdict is Verdict.WARN
    assert str(view.connection_id) in finding.said
    assert f"set MOORLINE_TASK_QUEUE={world.task_queue}," in (finding.mend or "")


async def test_a_gateway_that_is_not_there_is_worth_a_look(world: World, busy: Terminal) -> None:
    away = {"MOORLINE_GATEWAY_PORT": str(free_port())}
    done = await busy.run("doctor", **away)
    assert done.code == 0
    assert "warn gateway            does not answer" in done.out
    assert "run `moorline gateway`" in done.out
    async with busy.running("gateway", **away) as gateway:
        await gateway.says("gateway ready")
        assert "ok   gateway " in (await busy.run("doctor", **away)).out


async def test_a_provider_that_was_never_asked_was_said_to_refuse_us(
    world: World, terminal: Terminal
) -> None:
    """Bug: it was our own client id and secret that were not set."""
    async with world.working():
        view = await world.connected()
    unset = {"client_id": "${NO_ID}", "client_secret": "${NO_SECRET}"}
    write_entry(world.folder, world.sandbox.base_url, world.slug, **unset)
    async with terminal.running("worker") as worker:
        await worker.says("worker ready")

        async def noted() -> bool:
            trouble = (await world.connections.view(view.connection_id)).trouble
            return trouble is not None and trouble.cause is Outcome.APP_MISCONFIGURED

        async with terminal.running("refresh", view.connection_id):
            await until(noted)
        done = await terminal.run("doctor", "--json")
    said = troubles(done)["provider apps"].said
    assert f"{world.slug} cannot be asked since" in said
    assert "NO_ID is not set and the environment variable NO_SECRET is not set" in said


async def test_key_files_and_namespaces_that_are_not_there_are_told_with_what_to_do(
    terminal: Terminal,
) -> None:
    file, namespace = await asyncio.gather(
        terminal.run("doctor", "--json", MOORLINE_KEYS="file:/nowhere/keys"),
        terminal.run("doctor", "--json", TEMPORAL_NAMESPACE="nowhere"),
    )
    assert "a new one opens nothing that is stored" in (troubles(file)["keys"].mend or "")
    assert "TEMPORAL_NAMESPACE" in (troubles(namespace)["search attributes"].mend or "")


async def test_servers_that_are_away_are_found_one_by_one(world: World, busy: Terminal) -> None:
    temporal, database = await asyncio.gather(
        busy.run("doctor", "--json", TEMPORAL_ADDRESS="127.0.0.1:1"),
        busy.run("doctor", "--json", MOORLINE_DATABASE_URL=NOWHERE),
    )
    assert set(troubles(temporal)) == {"Temporal"}
    assert set(troubles(database)) == {"database"}
    assert "127.0.0.1:1/nowhere does not answer" in troubles(database)["database"].said


async def test_a_bare_machine_is_told_what_to_set(tmp_path: Path) -> None:
    nowhere = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
    bare = Terminal({**bare_environment(), **nowhere}, tmp_path)
    done = await bare.run("doctor", "--json")
    assert done.code == 1
    assert set(troubles(done)) == {"settings", "payload keys", "Temporal"}


async def test_a_provider_in_use_whose_secret_is_missing_is_found(
    world: World, busy: Terminal
) -> None:
    await world.connected()
    write_entry(
        world.folder, world.sandbox.base_url, world.slug, client_secret="${NOT_SET_ANYWHERE}"
    )
    done = await busy.run("doctor", "--json")
    assert (
        "the environment variable NOT_SET_ANYWHERE is not set" in troubles(done)["providers"].said
    )
    (world.folder / f"{world.slug}.yaml").write_text("slug: [")
    broken = await busy.run("doctor", "--json")
    assert f"{world.slug}.yaml" in troubles(broken)["providers"].said


async def test_a_provider_that_refuses_our_secret_is_found(world: World, busy: Terminal) -> None:
    view = await world.connected()
    await world.sandbox.change_secret(world.client_id, "mlcanary-another-secret")

    async def noted() -> bool:
        trouble = (await world.connections.view(view.connection_id)).trouble
        return trouble is not None and trouble.cause is Outcome.APP_MISCONFIGURED

    async with busy.running("refresh", view.connection_id):  # it has more patience than a test
        await until(noted)
    done = await busy.run("doctor", "--json")
    said = troubles(done)["provider apps"].said
    assert f"{world.slug} refuses our client id or secret since" in said
    assert "(invalid_client)" in said
    (degraded,) = [f for f in findings_of.validate_json(done.out) if f.check == "refreshes"]
    assert degraded.verdict is Verdict.WARN
    assert degraded.said.startswith("1 ACTIVE connections are degraded")


async def test_a_distribution_that_claims_one_of_our_packages_is_found(
    world: World, busy: Terminal
) -> None:
    stranger = world.folder / "site" / "stranger-1.0.dist-info"
    stranger.mkdir(parents=True)
    (stranger / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (stranger / "top_level.txt").write_text("workflows\n")
    done = await busy.run("doctor", "--json", PYTHONPATH=str(stranger.parent))
    assert troubles(done)["packages"].said.endswith("claim our packages: workflows (stranger)")


async def test_a_database_that_was_never_migrated_is_found(world: World, busy: Terminal) -> None:
    async with world.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("DELETE FROM alembic_version")
    done = await busy.run("doctor", "--json")
    assert "run `moorline migrate`" in troubles(done)["database"].said
