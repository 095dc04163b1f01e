"""The state folder: what a stack leaves on disk, and under which name.

Only its owner may enter it: passwords, keys and Temporal's database lie inside.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .errors import StackError


@dataclass(frozen=True)
class StateFolder:
    """The paths of one stack's state."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Self:
        """Make what is missing of the folder."""
        state = cls(root.absolute())
        try:
            for folder in (state.root, state.runs, state.logs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StackError(f"the state folder {root} cannot be used: {error.strerror}") from None
        return state

    @property
    def runs(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def temporal_database(self) -> Path:
        return self.root / "temporal.db"

    @property
    def postgres_data(self) -> Path:
        return self.root / "postgres"

    @property
    def postgres_password(self) -> Path:
        return self.root / "postgres.password"

    @property
    def lock(self) -> Path:
        return self.runs / "moorline.lock"

    def pid_files(self) -> list[Path]:
        return list(self.runs.glob("*.pid"))

    def pid_file(self, name: str) -> Path:
        return self.runs / f"{name}.pid"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def write_private(path: Path, text: str) -> None:
    """A file for its owner only, there as a whole or as it was."""
    unfinished = path.with_name(path.name + ".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    unfinished.replace(path)
