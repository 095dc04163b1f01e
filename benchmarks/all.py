"""Everything that is measured, by name."""

from collections.abc import Awaitable, Callable
from typing import Final

from benchmarks.costs import cycle_costs, renewal_costs
from benchmarks.figures import Effort, Figure
from benchmarks.ground import Ground
from benchmarks.leasing import leases
from benchmarks.leasing_over_http import leases_over_http
from benchmarks.memory import idle_memory
from benchmarks.reading import synced_rows
from benchmarks.recovering import recoveries
from benchmarks.refreshing import refresh_cycles
from benchmarks.revoking import revocations
from benchmarks.serving import server_tuning

Benchmark = Callable[[Ground, Effort], Awaitable[list[Figure]]]

ALL: Final[dict[str, Benchmark]] = {
    "refresh": refresh_cycles,
    "costs": cycle_costs,
    "renewal": renewal_costs,
    "revoke": revocations,
    "recovery": recoveries,
    "leases": leases,
    "http": leases_over_http,
    "rows": synced_rows,
    "memory": idle_memory,
    "server": server_tuning,
}
ONCE: Final = frozenset({"renewal", "recovery"})
"""Measured at the first size alone: how many others there are changes nothing."""
