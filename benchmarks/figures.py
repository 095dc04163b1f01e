"""What a benchmark answers: a ratio taken in one run, and the raw numbers behind it."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured figure at one number of connections.

    Attributes:
        ratio: ours to the bare thing's, in the same run; None where an amount is the figure.
        wanted: what it should be, in words.
        raw: absolute numbers; of meaning on this machine, in this run only.
    """

    name: str
    connections: int
    ratio: float | None
    wanted: str
    raw: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)

    def as_row(self) -> tuple[str, str, str, str, str]:
        """All of it for people."""
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        raw = ", ".join(f"{name} {value:,.4g}" for name, value in self.raw.items())
        return self.name, f"{self.connections:,}", ratio, self.wanted, raw
