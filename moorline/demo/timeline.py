"""The story as it is told: a timeline on the terminal, and a report when it is over."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel
from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from domain.errors import MoorlineError
from moorline.demo.judging import NotAsTold
from moorline.stack import StackError

SAID = (NotAsTold, MoorlineError, StackError)
LONGEST_S = 90
"""Who tries Moorline waits no longer: a story that takes more has not held."""
COLORS = {
    "pending": "yellow",
    "active": "green",
    "revoked": "red",
    "expired": "red",
    "failed": "red",
    "disconnected": "bright_black",
}


class StepReport(BaseModel):
    """How one step went."""

    name: str
    ok: bool
    detail: str


class Report(BaseModel):
    """How the story went."""

    ok: bool
    seconds: float
    steps: list[StepReport]
    statuses: list[str]
    ui: str


@dataclass
class Step:
    """One step: waiting, running since a moment, or over."""

    name: str
    began_at: float | None = None
    ended_at: float | None = None
    ok: bool = False
    detail: str = ""

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        if self.began_at is None:
            return 0.0
        return (self.ended_at or time.monotonic()) - self.began_at


@dataclass
class Timeline:
    """All steps, in the order in which they are shown."""

    steps: list[Step]
    statuses: list[str] = field(default_factory=list)
    ui: str = ""
    began_at: float = field(default_factory=time.monotonic)
    ended_at: float | None = None
    on_end: Callable[[Step], None] = field(default=lambda _: None)

    async def run(self, name: str, work: Callable[[], Awaitable[str]]) -> bool:
        """Run a step; whether it held."""
        step = next(step for step in self.steps if step.name == name)
        step.began_at = step.began_at or time.monotonic()
        try:
            step.detail = await work()
            step.ok = True
        except Exception as failed:  # noqa: BLE001 -- whatever breaks a step is said, as the step
            said = str(failed) if isinstance(failed, SAID) else ""
            step.detail = said or f"unexpected {type(failed).__name__}"
        step.ended_at = time.monotonic()
        self.on_end(step)
        return step.ok

    def report(self) -> Report:
        """How it went; a step that was not reached did not hold."""
        steps = [
            StepReport(name=s.name, ok=s.ok, detail=s.detail or "not reached") for s in self.steps
        ]
        ok = all(step.ok for step in steps) and self.seconds <= LONGEST_S
        seconds = round(self.seconds, 1)
        return Report(ok=ok, seconds=seconds, steps=steps, statuses=self.statuses, ui=self.ui)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return (self.ended_at or time.monotonic()) - self.began_at

    @property
    def total(self) -> str:
        """All of it in a line."""
        held = sum(step.ok for step in self.steps)
        said = f"{held} of {len(self.steps)} steps held, in {self.seconds:.1f} s"
        late = self.seconds > LONGEST_S
        return f"{said}: longer than the {LONGEST_S} s it may take" if late else said

    def __rich__(self) -> Group:
        table = Table(box=None, pad_edge=False, show_header=False)
        for number, step in enumerate(self.steps, start=1):
            seconds = f"{step.seconds:4.1f} s" if step.began_at else ""
            table.add_row(f"{number:2}", _mark(step), step.name, seconds, Text(step.detail, "dim"))
        life = Text("  the connection: ", "bold")
        for status in self.statuses:
            life.append(" → " if not life.plain.endswith(": ") else "")
            life.append(status.upper(), COLORS.get(status, ""))
        title = Text("Moorline: the life of a connection, on real parts", "bold")
        return Group(title, table, life, Text(f"  {self.total}"))


@asynccontextmanager
async def shown(timeline: Timeline, console: Console) -> AsyncIterator[None]:
    """Show the timeline while the block runs: live on a terminal, else once it is over."""
    if console.is_terminal:
        with Live(timeline, console=console, refresh_per_second=8):
            yield
    else:
        timeline.on_end = lambda step: console.print(_line(step), soft_wrap=True)
        yield
        console.print(f"the connection: {' → '.join(timeline.statuses).upper()}", soft_wrap=True)
        console.print(timeline.total, soft_wrap=True)


def _line(step: Step) -> str:
    return f"{'ok  ' if step.ok else 'FAIL'} {step.seconds:5.1f} s  {step.name}: {step.detail}"


def _mark(step: Step) -> Text | Spinner:
    if step.began_at is None:
        return Text("·", "dim")
    if step.ended_at is None:
        return Spinner("dots", style="cyan")
    return Text("✔", "green") if step.ok else Text("✘", "bold red")
