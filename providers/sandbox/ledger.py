"""The ground truth: one row for each call, written when it arrives, when it acts and when it ends.

A reader who polls sees calls in flight, so a test can wait for "acted, rotated, not answered yet".
Holds facts only: no token, and nothing a client merely claimed.
"""

import logging
import time

from pydantic import BaseModel

from .families import Verdict
from .store import Store
from .target import EndpointName, Target

logger = logging.getLogger(__name__)


class Entry(BaseModel):
    """What is known of one call. Times are unix seconds; `finished_at` is None while it runs."""

    seq: int
    endpoint: EndpointName
    grant_type: str | None
    client_id: str | None
    grant_id: str | None
    started_at: float
    finished_at: float | None
    presented: str | None
    """What the token or code was, by the words of `families`; None if it came to no look at it."""
    acted: bool
    """It did what it was asked for. A refusal is not an act, even one that ends a family."""
    rotated: bool
    issued_generation: int | None
    status: int | None
    """The status that went out; None if none did."""
    error: str | None
    """What the sandbox itself decided, whatever a fault made of the answer."""
    fault: str | None
    answered: bool
    """The whole answer was handed over to the connection."""


class Ledger:
    """The log."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Calls that were in flight when the process was killed were never answered.
        self._store.run("UPDATE log SET finished_at = ? WHERE finished_at IS NULL", time.time())

    def begin(self, call: Target, fault: str | None) -> int:
        return self._store.run(
            "INSERT INTO log (endpoint, grant_type, client_id, grant_id, started_at, fault)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            call.endpoint,
            call.grant_type,
            call.client_id,
            call.grant_id,
            time.time(),
            fault,
        )

    def decided(self, seq: int, verdict: Verdict | None, error: str | None) -> None:
        """Belongs in the transaction of the act itself."""
        self._store.run("UPDATE log SET error = ? WHERE seq = ?", error, seq)
        if verdict is None:
            return
        self._store.run(
            "UPDATE log SET presented = ?, grant_id = ifnull(?, grant_id), acted = ?, rotated = ?,"
            " issued_generation = ? WHERE seq = ?",
            verdict.presented,
            verdict.grant_id,
            verdict.acted,
            verdict.rotated,
            None if verdict.issued is None else verdict.issued.generation,
            seq,
        )

    def finish(self, seq: int, status: int | None, *, answered: bool) -> None:
        self._store.run(
            "UPDATE log SET finished_at = ?, status = ?, answered = ? WHERE seq = ?",
            time.time(),
            status,
            answered,
            seq,
        )
        for entry in self.entries(after=seq - 1, limit=1):
            logger.info(entry.model_dump_json(exclude={"started_at", "finished_at"}))

    def entries(
        self,
        after: int = 0,
        grant_id: str | None = None,
        endpoint: str | None = None,
        limit: int = -1,
    ) -> list[Entry]:
        rows = self._store.all(
            "SELECT * FROM log WHERE seq > ? AND grant_id IS ifnull(?, grant_id)"
            " AND endpoint = ifnull(?, endpoint) ORDER BY seq LIMIT ?",
            (after, grant_id, endpoint, limit),
        )
        return [Entry.model_validate(row) for row in rows]
