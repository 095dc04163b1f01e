"""Processor time by part: what a cycle costs where, which no clock on the wall shows."""

import os
from collections.abc import Mapping
from pathlib import Path

from moorline.stack import Child

TICKS = os.sysconf("SC_CLK_TCK")


def spent(children: Mapping[str, Child]) -> dict[str, float]:
    """Seconds of processor time so far: of this process, and of each part with its children."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        parents[int(process.name)] = int(fields[1])
        # Its own, and that of children it has outlived: PostgreSQL's come and go.
        seconds[int(process.name)] = sum(map(int, fields[11:15])) / TICKS
    found = {"worker": seconds[os.getpid()]}
    for name, child in children.items():
        found[name] = sum(
            spent for pid, spent in seconds.items() if child.pid in (pid, parents[pid])
        )
    return found


def per_cycle(
    before: Mapping[str, float], after: Mapping[str, float], cycles: float
) -> dict[str, float]:
    """Milliseconds of processor time per cycle, where there were any to speak of."""
    spent_ms = {name: (after[name] - before[name]) / cycles * 1000 for name in after}
    return {f"{name} ms": ms for name, ms in spent_ms.items() if ms >= 0.1}
