"""Whether this is the program it should be: our rooms are ours, and the ports are free or in use
by ourselves.
"""

import fcntl
import os
from collections.abc import AsyncIterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

from moorline.doctor.findings import Finding, bad, ok, warn
from moorline.settings import STATE
from moorline.stack import Ports, StackError, StackFacts

ROOMS = (
    "activities",
    "client",
    "domain",
    "gateway",
    "moorline",
    "providers",
    "storage",
    "workflows",
)
PORTS = "stop what uses them: only `moorline dev` needs them"
REINSTALL = "use an environment of Moorline's own: `make clean && make demo`"


async def rooms() -> AsyncIterator[Finding]:
    """Another distribution that ships a package of our name would overwrite ours."""
    owners = packages_distributions()
    strangers = {room: set(owners.get(room, ())) - {"moorline"} for room in ROOMS}
    taken = [f"{room} ({', '.join(sorted(who))})" for room, who in strangers.items() if who]
    if taken:
        said = f"other distributions claim our packages: {'; '.join(taken)}"
        yield bad("packages", said, REINSTALL)
        return
    home = _origin("moorline")
    astray = [room for room in ROOMS if _origin(room) != home]
    if astray:
        yield bad("packages", f"not ours, or not there: {', '.join(astray)}", REINSTALL)
        return
    yield ok("packages", f"{len(ROOMS)} packages, all from {home}")


async def ports() -> AsyncIterator[Finding]:
    """Whether ``moorline dev`` could start."""
    if _runs(STATE / "run" / "moorline.lock"):
        yield ok("ports", f"`moorline dev` runs on {STATE}/")
        return
    try:
        Ports.fixed(StackFacts.read()).check()
    except StackError as error:
        said, _, mend = str(error).partition("; ")
        yield warn("ports", f"`moorline dev` could not start: {said}", mend or PORTS)
    else:
        yield ok("ports", "those of `moorline dev` are free")


def _origin(room: str) -> Path | None:
    spec = find_spec(room)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).resolve().parents[1]


def _runs(lock: Path) -> bool:
    """Whether somebody holds the lock of a state folder; changes nothing."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
