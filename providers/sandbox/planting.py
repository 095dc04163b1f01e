"""The faults that are in force, and which of them strikes a call.

They live in memory: a restart clears them. Knows nothing of what a kind of fault does.
"""

import asyncio
from dataclasses import dataclass, field

from pydantic import JsonValue

from .faults import AnyFault
from .target import Target


@dataclass
class Planted:
    """A fault in force, and how often it has struck."""

    id: str
    fault: AnyFault
    struck: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times

    def described(self) -> dict[str, JsonValue]:
        facts: dict[str, JsonValue] = self.fault.model_dump(mode="json", exclude_none=True)
        return {**facts, "id": self.id, "struck": self.struck, "spent": self.spent}


class Faults:
    """Oldest first. A spent fault stays listed until it is cleared, for it may still hold calls."""

    def __init__(self) -> None:
        self._planted: dict[str, Planted] = {}
        self._number = 0

    def plant(self, fault: AnyFault) -> str:
        self._number += 1
        planted = Planted(f"fault-{self._number}", fault)
        self._planted[planted.id] = planted
        return planted.id

    def all(self) -> list[Planted]:
        return [*self._planted.values()]

    def clear(self, fault_id: str) -> bool:
        """Take the fault away and release the calls that it holds."""
        planted = self._planted.pop(fault_id, None)
        if planted is not None:
            planted.released.set()
        return planted is not None

    def striking(self, call: Target) -> Planted | None:
        """The oldest fault in force for this call; it is counted as having struck."""
        for planted in self._planted.values():
            if not planted.spent and planted.fault.covers(call):
                planted.struck += 1
                return planted
        return None
