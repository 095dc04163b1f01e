"""Clocks that can be set wrong: those of single processes, by Debian's ``libfaketime``.

Only the wall clock is shifted, as by somebody who sets it: monotonic clocks and the one that counts
in a sleeping machine go on. The library is no dependency of ours; without it no clock is shifted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

RIGHT: Final = timedelta(0)
LEFT_OUT: Final = "no clock is shifted: that takes Debian's libfaketime, which is not installed"


def library() -> Path | None:
    """Where ``libfaketime`` is; None: nowhere."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


@dataclass(frozen=True)
class Clock:
    """The wall clock of the processes that are started with its ``environment``."""

    file: Path
    library: Path

    @classmethod
    def of(cls, file: Path) -> Self | None:
        """A clock that is right so far, set by this file; None where clocks cannot be shifted."""
        found = library()
        if found is None:
            return None
        clock = cls(file.resolve(), found)
        clock.shift(RIGHT)
        return clock

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process is started with, for this to be its clock."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            # The file is read once a second: whenever the time is would cost half a core.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else waits by a monotonic clock end at once: Python's threads would fight for their
            # lock all the time, and a worker would take three times as long.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
        }

    def shift(self, by: timedelta) -> None:
        """Set it wrong by this much, or ``RIGHT``."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{by.total_seconds():+.0f}\n")
        new.replace(self.file)  # never read half written
