"""One child's log file: kept over restarts, with a mark where the present run begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

_KEEP_BYTES = 10_000_000


@dataclass(frozen=True)
class Log:
    """The log file at `path`, of which the present run wrote all after `start`."""

    path: Path
    start: int

    @classmethod
    def begin(cls, path: Path) -> Self:
        """Append to what is there; put it aside as `.log.1` once it is large."""
        size = path.stat().st_size if path.exists() else 0
        if size > _KEEP_BYTES:
            path.replace(path.with_suffix(".log.1"))
            size = 0
        return cls(path, size)

    def sink(self) -> BinaryIO:
        return self.path.open("ab")

    def text(self) -> str:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")

    def tail(self, lines: int = 12) -> str:
        return "\n".join(self.text().splitlines()[-lines:])
