"""The embedded stack: real servers as child processes, so that nobody needs Docker to begin.

It starts, watches and stops processes; it knows nothing of connections, settings or HTTP routes.
"""

from .child import Child
from .errors import StackError
from .facts import StackFacts
from .ports import Ports
from .postgres import PostgresServer
from .stack import Stack
from .temporal import TemporalServer

__all__ = [
    "Child",
    "Ports",
    "PostgresServer",
    "Stack",
    "StackError",
    "StackFacts",
    "TemporalServer",
]
