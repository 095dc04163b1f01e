"""Keeping a development stack running in this terminal: what it says, and how it ends.

Told to stop, it stops everything in order; killed, it loses nothing: the next start goes on.
"""

import asyncio
import sysconfig
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import typer

from moorline import logs
from moorline.development import Development, developing
from moorline.processes import no_core_dumps, stop_signals
from moorline.settings import DEV_ENVIRONMENT, STATE
from moorline.stack import Ports, StackFacts
from moorline.supervision import Supervision

SOMEBODY = "11111111-1111-4111-8111-111111111111"
TEXT = """
Moorline is running. Stop it with Ctrl-C: everything is kept in {state}/.

  Temporal web UI   {ui}
  Temporal          {temporal}   (namespace {namespace})
  PostgreSQL        {postgres}   (the URL with its password is in {env})
  Sandbox provider  {sandbox}
  Gateway           {gateway}   (for applications, and their users' browsers)
  Logs              {state}/logs/

The `temporal` command line shows payloads in the clear with:

  {bin}/temporal workflow list --address {temporal}
  {bin}/temporal workflow show --address {temporal} -w WORKFLOW_ID \\
    --codec-endpoint $(cat {state}/codec-endpoint)

Try it, in another terminal and this folder:

  {bin}/moorline connect sandbox --user {user}
"""


def ports_of(text: str | None) -> Ports:
    """The fixed ports, or those that are given."""
    if text is None:
        return Ports.fixed(StackFacts.read())
    numbers = [int(number) for number in text.split(",") if number.isdecimal()]
    if len(numbers) != len(fields(Ports)):
        raise typer.BadParameter(f"{len(fields(Ports))} ports are expected")
    return Ports(*numbers)


async def keep_developing(ports: Ports) -> None:
    """Run until told to stop.

    Raises:
        StackError: it cannot start, or a server has died.
    """
    no_core_dumps()
    logs.set_up("WARNING")
    logs.forward_temporal("CRITICAL")
    with stop_signals() as told:
        running = asyncio.create_task(_run(ports))
        told.add_done_callback(lambda _: running.cancel())
        try:
            await running
        except asyncio.CancelledError:
            if not told.done():
                raise
    say("Stopped. Nothing is lost: the next `moorline dev` goes on from here.")


async def _run(ports: Ports) -> None:
    say("Starting Temporal, PostgreSQL, the sandbox provider, the gateway and a worker ...")
    async with developing(STATE, StackFacts.read(), ports) as development:
        await development.start_worker()
        say(_described(development))
        try:
            await Supervision(development.stack, say).watch()
        finally:
            say("Stopping the worker first, then the servers ...")


def _described(development: Development) -> str:
    stack = development.stack
    return TEXT.format(
        state=STATE,
        env=STATE / DEV_ENVIRONMENT,
        ui=stack.ui_url,
        temporal=stack.temporal_address,
        namespace=stack.facts.temporal.namespace,
        postgres=f"127.0.0.1:{stack.ports.postgres}",
        sandbox=stack.sandbox_url,
        gateway=stack.gateway_url,
        bin=_folder_of_commands(),
        user=SOMEBODY,
    )


def say(text: str) -> None:
    """Tell whoever still looks: a terminal that was closed is no reason not to stop in order."""
    with suppress(OSError):
        print(text, flush=True)


def _folder_of_commands() -> Path:
    scripts = Path(sysconfig.get_path("scripts"))
    return scripts.relative_to(Path.cwd()) if scripts.is_relative_to(Path.cwd()) else scripts
