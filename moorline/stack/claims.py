"""One name in a state folder belongs to one living process: a pid file held by a lock.

The lock says whether someone runs the name *now*; the content says whom a dead owner left over.
The file is never removed: a lock on a removed file protects nothing.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from signal import Signals
from typing import Self

from .errors import StackError
from .identities import Identity


class Claim:
    """The right to run one name of a state folder."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self:
        """Claim the name of the pid file `path`; the kernel lets go when this process ends."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StackError(f"{path} cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StackError(_taken(path)) from None
        return cls(path, descriptor)

    async def end_leftover(self) -> None:
        """End the process that an owner which died left behind."""
        if leftover := Identity.parse(self._path.read_text()):
            await leftover.end()

    def note(self, pid: int, stop_signal: Signals) -> None:
        """Write down who runs the name now."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(Identity.of(pid, stop_signal)).encode(), 0)

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _taken(path: Path) -> str:
    owner = Identity.parse(path.read_text())
    folder = path.parent.parent
    return (
        f"{path.stem} of {folder} is already running (pid {owner.pid if owner else 'unknown'}): "
        "use it, or stop it first"
    )
