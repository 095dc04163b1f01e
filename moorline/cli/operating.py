"""``worker``, ``gateway``, ``migrate``, ``setup`` and ``doctor``: what an operator runs."""

import asyncio
import os
from typing import Annotated

import typer

from moorline.cli.arguments import AsJson


def worker() -> None:
    """Run a worker until it is told to stop; as many as one likes may run."""
    from moorline.cli.opening import settings_for_process
    from moorline.processes import run_worker
    from moorline.settings import Settings

    asyncio.run(run_worker(settings_for_process(Settings)))


def gateway() -> None:
    """Run the gateway until it is told to stop; as many as one likes may run."""
    from moorline.cli.opening import settings_for_process
    from moorline.processes import run_gateway
    from moorline.settings import Settings

    asyncio.run(run_gateway(settings_for_process(Settings)))


def migrate() -> None:
    """Bring the database to the newest revision. Needs only the database."""
    asyncio.run(_migrate())


def setup() -> None:
    """Make the Temporal namespace ready: search attributes, worker version, limits."""
    asyncio.run(_setup())


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Start connections again whose workflow is gone.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Check the whole set-up, a line each, and name the command that mends what is wrong."""
    from moorline.cli.examining import examine_and_tell

    healthy = asyncio.run(examine_and_tell(fix=fix, json=json))
    raise typer.Exit(0 if healthy else 1)


async def _migrate() -> None:
    from moorline.cli.opening import settings_for_command
    from moorline.settings import Settings
    from storage import schema
    from storage.database import Database

    database = Database(settings_for_command(Settings).database_url.get_secret_value())
    try:
        revision = await schema.migrate(database)
    finally:
        await database.close()
    typer.echo(f"The database is at revision {revision}, the newest.")


async def _setup() -> None:
    from moorline import logs
    from moorline.cli.opening import settings_for_command
    from moorline.settings import TemporalSettings
    from moorline.setup import set_up

    settings = settings_for_command(TemporalSettings)
    logs.forward_temporal("CRITICAL")
    for line in await set_up(settings, os.environ):
        typer.echo(line)
