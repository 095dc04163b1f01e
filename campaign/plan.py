"""What goes wrong in a campaign, and when: drawn from the seed before it begins.

Nothing of it depends on what happens, so the same seed and minutes make the same plan.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from campaign.apps import APPS
from campaign.parts import LINKS, PARTS, SHIFTABLE, WORKERS

LONGEST_FREEZE_S: Final = 20.0
QUIET_S: Final = 5.0
"""At the beginning, so that there is something to compare with."""
KEYS_EVERY_S: Final = 150.0
SHIFT: Final = "shift the clock"
SHIFT_S: Final = 600
"""Ten minutes, ahead or behind: longer than any token of a campaign lives."""


@dataclass(frozen=True)
class Fault:
    """One thing that is done, ``at`` so many seconds after the beginning, for ``seconds``."""

    at: float
    kind: str
    target: str
    seconds: float
    detail: dict[str, JsonValue] = field(default_factory=dict)

    @property
    def subjects(self) -> frozenset[str]:
        """What nothing else is done to meanwhile. A clock is a thing of its own: others go on."""
        if self.kind == SHIFT:
            return frozenset({f"clock of {self.target}"})
        many = {"workers": WORKERS, **LINKS}
        return frozenset(many.get(self.target, (self.target,)))


def draw(seed: int, seconds: float) -> list[Fault]:
    """The plan; every fault of it is over when the ``seconds`` are."""
    dice = random.Random(f"faults of {seed}")
    busy: dict[str, float] = {}
    plan = list(_keys(seconds))
    at = QUIET_S
    while at < seconds:
        fault = dice.choices(_KINDS, _WEIGHTS)[0](dice, at)
        free = all(busy.get(subject, 0.0) <= at for subject in fault.subjects)
        if free and at + fault.seconds < seconds:
            busy |= dict.fromkeys(fault.subjects, at + fault.seconds + 1)
            plan.append(fault)
        at += dice.uniform(2, 6)
    return sorted(plan, key=lambda fault: fault.at)


def _keys(seconds: float) -> Iterator[Fault]:
    """Keys are rotated while everything else goes on."""
    at = seconds * 0.3
    while at < seconds * 0.8:
        yield Fault(round(at, 1), "rotate keys", "keys", 0.0)
        at += KEYS_EVERY_S


def _kill(dice: random.Random, at: float) -> Fault:
    part = dice.choices(PARTS, (4, 4, 2, 2, 2))[0]
    return _fault(at, "kill", part, dice.uniform(0.2, 4))


def _kill_holding(dice: random.Random, at: float) -> Fault:
    """Kill both workers while the provider has acted and not answered yet."""
    app = dice.choice([app for app in APPS if app.rotation != "key"])
    return _fault(at, "kill between rotation and commit", "workers", 8.0, app=app.slug)


def _freeze(dice: random.Random, at: float) -> Fault:
    part = dice.choices(PARTS, (4, 4, 1, 2, 2))[0]
    # A worker thaws after its claim has lapsed more often than not: a zombie.
    longest = LONGEST_FREEZE_S if part in WORKERS else 8.0
    return _fault(at, "freeze", part, dice.uniform(3, longest))


def _restart(_: random.Random, at: float) -> Fault:
    return _fault(at, "rolling restart", "workers", 12.0)


def _shift(dice: random.Random, at: float) -> Fault:
    """A clock is set wrong, and jumps back."""
    by = dice.choice((SHIFT_S, -SHIFT_S))
    return _fault(at, SHIFT, dice.choice(SHIFTABLE), dice.uniform(5, LONGEST_FREEZE_S), by=by)


def _link(dice: random.Random, at: float) -> Fault:
    link = dice.choice(list(LINKS))
    # One worker is cut off as often as both.
    target = dice.choice((link, dice.choice(LINKS[link])))
    mode = dice.choice(("refuse", "cut", "black_hole", "latency", "slice"))
    detail: dict[str, JsonValue] = {}
    match mode:
        case "cut":
            # Also in the middle of a request, and of an answer.
            detail = {"amount": dice.choice((0, 40, 150, 300, 700, 1500, 4000))}
        case "latency":
            detail = {"seconds": round(dice.uniform(0.05, 0.8), 2)}
        case "slice":
            detail = {"amount": dice.choice((1, 7, 50, 200))}
    return _fault(at, mode, target, dice.uniform(2, 10), **detail)


def _provider(dice: random.Random, at: float) -> Fault:
    app = dice.choice([app for app in APPS if app.rotation != "key"])
    endpoint = dice.choices(("token", "revoke", "api"), (6, 2, 2))[0]
    shape: dict[str, JsonValue] = dice.choice(_TROUBLES)
    # Who is told to slow down has been told before anything was done.
    limited = shape["kind"] == "rate_limit"
    when = "before_acting" if limited else dice.choice(("before_acting", "after_acting"))
    detail: dict[str, JsonValue] = {"endpoint": endpoint, "when": when, "times": 3, **shape}
    return _fault(at, "provider", app.slug, dice.uniform(2, 8), **detail)


def _fault(at: float, kind: str, target: str, seconds: float, /, **detail: JsonValue) -> Fault:
    return Fault(round(at, 1), kind, target, round(seconds, 1), detail)


_TROUBLES: Final[Sequence[dict[str, JsonValue]]] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502, "body": "Bad Gateway"},
    {"kind": "status", "status": 503, "headers": {"Retry-After": "2"}, "times": None},
    {"kind": "status", "status": 400, "body": {"error": "temporarily_unavailable"}},
    {"kind": "rate_limit", "retry_after": "3", "times": None},
    {"kind": "html"},
    {"kind": "drop"},
    {"kind": "drop", "reset": True},
    {"kind": "truncate"},
    {"kind": "hang"},
    {"kind": "delay", "seconds": 4},
)
_KINDS: Final[Sequence[Callable[[random.Random, float], Fault]]] = (
    _kill,
    _kill_holding,
    _freeze,
    _restart,
    _link,
    _provider,
    _shift,
)
_WEIGHTS: Final = (6, 2, 4, 2, 8, 5, 5)
