"""What a benchmark answers: a ratio taken in one run, and the raw numbers behind it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Effort:
    """How much is measured. Tests ask for a second and prove only that it works."""

    connections: int
    seconds: float

    @property
    def warm_up(self) -> float:
        """How long both sides run before anything is counted."""
        return self.seconds / 5


@dataclass(frozen=True)
class Figure:
    """One measured figure at one number of connections.

    Attributes:
        ratio: ours to the bare thing's, in the same run; None where an amount is the figure.
        aim: what it should be, in words.
        raw: absolute numbers; of meaning on this machine, in this run only.
    """

    name: str
    connections: int
    ratio: float | None
    aim: str
    raw: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)

    def as_row(self) -> tuple[str, str, str, str, str]:
        """All of it for people."""
        ratio = "-" if self.ratio is None else f"{self.ratio:.2g}"
        raw = ", ".join(f"{name} {_short(value)}" for name, value in self.raw.items())
        return self.name, f"{self.connections:,}", ratio, self.aim, raw


def mean(values: Sequence[float]) -> float:
    """The mean of what several rounds brought."""
    return sum(values) / len(values)


def median(values: Sequence[float]) -> float:
    """The value in the middle: a hiccup of the machine does not move it."""
    return sorted(values)[len(values) // 2]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
