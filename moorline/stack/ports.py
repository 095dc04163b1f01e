"""The ports of one stack: the fixed ones of `temporal-dev.yml`, or free ones for demo and tests.

A taken port must be found here, before anything starts, and named with what wanted it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from secrets import SystemRandom
from typing import Self

from .errors import StackError
from .facts import FILE_NAME, StackFacts

HOST = "127.0.0.1"

# Below the range from which Linux and macOS take ports for outgoing connections, so that no such
# connection takes a chosen port before its server does. None of these is blocked by browsers.
_FREE_RANGE = range(20_000, 32_000)


@dataclass(frozen=True)
class Ports:
    """One port for each listener of the stack, all on 127.0.0.1."""

    temporal: int
    ui: int
    metrics: int
    postgres: int
    sandbox: int
    gateway: int
    redirect: int

    @classmethod
    def fixed(cls, facts: StackFacts) -> Self:
        """The ports a person can bookmark."""
        return cls(
            temporal=facts.temporal.port,
            ui=facts.temporal.ui_port,
            metrics=facts.temporal.metrics_port,
            postgres=facts.postgres.port,
            sandbox=facts.sandbox.port,
            gateway=facts.gateway.port,
            redirect=facts.redirect.port,
        )

    @classmethod
    def free(cls) -> Self:
        """Ports nobody listens on at this moment."""
        return cls(*free_ports(len(fields(cls))))

    def check(self) -> None:
        """Raise unless each port is free. `redirect` is left out: a login opens it for a moment."""
        check_free(
            {
                "Temporal": self.temporal,
                "Temporal web UI": self.ui,
                "Temporal metrics": self.metrics,
                "PostgreSQL": self.postgres,
                "sandbox": self.sandbox,
                "gateway": self.gateway,
            }
        )


def free_ports(count: int) -> list[int]:
    """`count` different ports nobody listens on at this moment."""
    candidates: Iterator[int] = iter(SystemRandom().sample(_FREE_RANGE, len(_FREE_RANGE)))
    free = (port for port in candidates if _is_free(port))
    return [next(free) for _ in range(count)]


def check_free(wanted: Mapping[str, int]) -> None:
    """Raise a `StackError` that names every taken port at once."""
    taken = {part: port for part, port in wanted.items() if not _is_free(port)}
    if not taken:
        return
    named = ", ".join(f"port {port} is taken ({part})" for part, port in taken.items())
    raise StackError(f"{named}; stop what uses it, or choose another port in {FILE_NAME}")


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        # The servers set it too; without it a port just let go would look taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
