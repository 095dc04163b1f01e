"""What a caller of the gateway may do: each API key has one role, and no more than its rights."""

from enum import StrEnum


class Role(StrEnum):
    """Of a key, from the widest to the narrowest."""

    ADMIN = "admin"
    """Everything, decoding of payloads included: an operator's."""
    APP = "app"
    """Connections, their data, events and leases: the application's backend."""
    LEASE = "lease"
    """Leases only: whatever calls the provider."""
    METRICS = "metrics"
    """The metrics only: whatever scrapes them."""
