"""Which lost rotations nobody could have prevented.

A provider without grace rotated, and its answer did not come into either sink: because it was cut
on its way, because the worker that had it died or was frozen past its lease, or because PostgreSQL
and Temporal were both away. Neither of the two alone excuses a loss.
"""

from typing import Final

from campaign.diary import Happened
from campaign.evidence import Claim, Evidence

DEADLINE_S: Final = 25.0
"""How long after its claim a call can be under way: the exchange's deadline, and some."""
LINGERS_S: Final = 5.0
"""How long a fault is felt after its end: broken connections are found out, parts reconnect."""
TAKES_ANSWERS: Final = frozenset({"kill", "freeze", "kill between rotation and commit", "provider"})


def is_excused(lost: Claim, evidence: Evidence) -> bool:
    """Whether the answer that was lost under this claim could be lost."""
    (rotation,) = [
        life.rotation for life in evidence.lives if life.connection_id == lost.connection_id
    ]
    if rotation != "strict":
        return False
    until = lost.finished_at or lost.claimed_at + DEADLINE_S
    around = [
        fault
        for fault in evidence.faults
        if fault.began < until and fault.ended + LINGERS_S > lost.claimed_at
    ]
    if any(_takes_answers(fault) for fault in around):
        return True
    away = {server for fault in around if (server := _server(fault)) is not None}
    return away == {"temporal", "postgres"}


def _takes_answers(fault: Happened) -> bool:
    """Whether it can keep an answer from the worker that waits for it."""
    if fault.target == "worker-provider":
        return True
    return fault.kind in TAKES_ANSWERS and _server(fault) is None and fault.target != "gateway"


def _server(fault: Happened) -> str | None:
    """Which sink a fault keeps away from the workers."""
    if fault.target in {"temporal", "postgres"}:
        return fault.target
    if fault.target.startswith("worker"):
        last = fault.target.rpartition("-")[2]
        return last if last in {"temporal", "postgres"} else None
    return None
