"""Memory of a worker per idle connection it keeps, against a bare idle workflow's."""

from pathlib import Path

from benchmarks import bare
from benchmarks.figures import Effort, Figure
from benchmarks.ground import LONG, Ground

QUEUE, BARE = "bench-memory", "bench-idle"
FIRST = 100
"""After so many everything is loaded that is shared by all."""


async def idle_memory(ground: Ground, effort: Effort) -> list[Figure]:
    """A worker process of each kind: how much it grows with so many that wait."""
    worker = await ground.development.start_worker(QUEUE, MOORLINE_TASK_QUEUE=QUEUE)
    client = ground.on_queue(QUEUE)
    ids = await ground.connect(client, LONG, FIRST)
    before = _resident(worker.pid)
    ids += await ground.connect(client, LONG, effort.connections)
    ours = (_resident(worker.pid) - before) / effort.connections
    await ground.end(ids)
    await worker.stop()
    bare_worker = await ground.bare_worker(BARE)
    await bare.start_waiting(ground.bare, BARE, FIRST)
    before = _resident(bare_worker.pid)
    await bare.start_waiting(ground.bare, BARE, effort.connections)
    theirs = (_resident(bare_worker.pid) - before) / effort.connections
    await bare_worker.stop()
    raw = {"KiB": ours, "bare KiB": theirs}
    return [
        Figure("memory per idle connection", effort.connections, ours / max(theirs, 1), "-", raw)
    ]


def _resident(pid: int) -> float:
    """Memory of a process, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return float(line.split()[1])
