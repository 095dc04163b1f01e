"""Tells a process from a later one that was given the same pid.

Nothing may be signalled by a remembered number alone: it may belong to a stranger by now.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals
from time import monotonic
from typing import Self

from .errors import StackError


@dataclass(frozen=True)
class Identity:
    """A process, and the signal by which it is asked to end."""

    pid: int
    stop_signal: Signals
    born: str

    @classmethod
    def of(cls, pid: int, stop_signal: Signals) -> Self:
        return cls(pid, stop_signal, _born(pid) or "gone")

    @classmethod
    def parse(cls, line: str) -> Self | None:
        try:
            pid, stop_signal, born = line.strip().split(" ", maxsplit=2)
            return cls(int(pid), Signals(int(stop_signal)), born)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.pid} {self.stop_signal.value} {self.born}"

    def lives(self) -> bool:
        return _born(self.pid) == self.born

    async def end(self, within: float = 10) -> None:
        """Ask it to stop, then make it."""
        if not self.lives():
            return
        try:
            os.kill(self.pid, self.stop_signal)
            if not await self.gone(within):
                os.killpg(self.pid, SIGKILL)  # every child leads a group of its own
                await self.gone(within)
        except PermissionError:
            raise StackError(f"process {self.pid}, left over, belongs to another user") from None
        except ProcessLookupError:
            pass

    async def gone(self, within: float) -> bool:
        """Whether it has ended before so many seconds are over; returns as soon as it has."""
        deadline = monotonic() + within
        while self.lives():
            if monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True


def program(pid: int) -> str | None:
    """The name of the program a pid runs, where the system says so (Linux)."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _born(pid: int) -> str | None:
    """When a running process was started, comparable only with itself; None if there is none."""
    return _born_on_linux(pid) if sys.platform == "linux" else _born_elsewhere(pid)


def _born_on_linux(pid: int) -> str | None:
    try:
        # The name in parentheses may hold spaces; the fields after it are proc_pid_stat(5), 3 on.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, threads, ticks = fields[0], int(fields[17]), fields[19]
    if state in "ZX" and threads <= 1:  # with more, its last threads still hold its ports
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{ticks}"


def _born_elsewhere(pid: int) -> str | None:
    answer = subprocess.run(
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None
