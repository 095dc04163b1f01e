"""How often something is done in a second, and where the processor is meanwhile."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Effort
from moorline.stack import Child

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Pace:
    """What was counted: how many in a second, and the processor time of each."""

    per_s: float
    busy_s: Mapping[str, float]
    """Of all parts, while it was counted."""
    seconds: float

    @property
    def each_ms(self) -> float:
        """Milliseconds of processor time for one, of all parts together."""
        return sum(self.busy_s.values()) / self._counted * 1000

    @property
    def _counted(self) -> float:
        return max(self.per_s * self.seconds, 1)

    def where(self, prefix: str) -> dict[str, float]:
        """Milliseconds of processor time for one, by part, where there were any to speak of."""
        spent_ms = {name: busy / self._counted * 1000 for name, busy in self.busy_s.items()}
        return {f"{prefix}{name} ms": ms for name, ms in spent_ms.items() if ms >= 0.3}


async def pace(
    counted: Callable[[], Awaitable[float]], parts: Mapping[str, Child], effort: Effort
) -> Pace:
    """Count what others do meanwhile, once it has got going."""
    await asyncio.sleep(effort.warm_up)
    before, busy_before = await counted(), _processor(parts)
    await asyncio.sleep(effort.seconds)
    after, busy_after = await counted(), _processor(parts)
    busy = {name: busy_after[name] - busy_before[name] for name in busy_before}
    return Pace((after - before) / effort.seconds, busy, effort.seconds)


def _processor(parts: Mapping[str, Child]) -> dict[str, float]:
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
    for name, child in parts.items():
        found[name] = sum(
            spent for pid, spent in seconds.items() if child.pid in (pid, parents[pid])
        )
    return found
