"""``dev``: a whole Moorline on this machine, for as long as one likes."""

import asyncio
from typing import Annotated

import typer


def dev(
    ports: Annotated[
        str | None,
        typer.Option(hidden=True, help="Seven ports instead of the fixed ones, for tests."),
    ] = None,
) -> None:
    """Run Temporal, PostgreSQL, a sandbox provider, the gateway and a worker, until Ctrl-C.

    State, keys and logs live in .moorline/; other commands run from the same folder find it.
    """
    from moorline.cli.keeping import keep_developing, ports_of

    asyncio.run(keep_developing(ports_of(ports)))
