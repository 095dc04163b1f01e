"""What the campaign itself did and saw, with the times: its side of the evidence."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from campaign.apps import App


@dataclass
class Known:
    """A connection that the campaign has begun."""

    connection_id: UUID
    app: App
    busy: bool = False
    """Somebody is changing it."""
    ended_at: float | None = None
    """When its disconnect was acknowledged."""
    end_asked: bool = False
    revoke_asked: bool = False
    refreshes_asked: list[float] = field(default_factory=list)
    """When somebody wanted a newer token, whatever was left of the one there was."""


@dataclass(frozen=True)
class Leased:
    """A lease that succeeded, and when it was asked for."""

    connection_id: UUID
    asked_at: float
    generation: int = 0
    """Of the token; 0: of none that ends."""


@dataclass(frozen=True)
class Happened:
    """A fault as it was done. Times are unix seconds."""

    kind: str
    target: str
    began: float
    ended: float
    killed_at: float | None = None


@dataclass
class Diary:
    """Everything that is written down, and in part into a file to be read afterwards."""

    file: Path
    known: list[Known] = field(default_factory=list)
    codes: dict[str, UUID] = field(default_factory=dict)
    """Digest of an authorization code -> whose it was."""
    leases: list[Leased] = field(default_factory=list)
    faults: list[Happened] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Kinds of faults that were not done, because something else was being done to their part."""
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(what was done, what came of it) -> how often."""
    healed_at: float = float("inf")
    """When the faults were over; from here on everything is refreshed by force."""
    surprises: list[str] = field(default_factory=list)
    """What no caller should ever see."""

    def write(self, what: str, **facts: object) -> None:
        """A line of the file."""
        with self.file.open("a") as file:
            file.write(json.dumps({"time": round(time.time(), 3), "what": what, **facts}) + "\n")

    def happened(self, fault: Happened) -> None:
        """A fault is over."""
        self.faults.append(fault)
        self.write("fault is over", **vars(fault))
