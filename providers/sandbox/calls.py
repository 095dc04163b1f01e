"""The way every watched call goes: read, noted, acted on in one transaction, answered, closed.

Faults strike here and the ledger is kept here, so that no endpoint can forget either. What a call
means is none of this module's business.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from .answers import Answer, Refused, error_answer
from .families import Verdict
from .planting import Planted
from .sandbox import Sandbox
from .target import Target
from .wire import Wire


@dataclass(frozen=True)
class Decision:
    """An answer, and what looking at the presented token found (None: it came to no look)."""

    answer: Answer
    verdict: Verdict | None = None
    error: str | None = None


class WatchedCall(ABC):
    """An ASGI application for one endpoint."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with Wire.open(scope, receive, send, self.sandbox.closing) as wire:
                await self._serve(wire)
        except ClientDisconnect:
            return  # it left before its request was complete, so there was no call

    @abstractmethod
    def target(self, wire: Wire) -> Target:
        """Which call this is, before anything about it is verified."""

    @abstractmethod
    def decide(self, wire: Wire) -> Decision:
        """Act. Runs inside a transaction; raises `Refused` only before anything was changed."""

    async def _serve(self, wire: Wire) -> None:
        call = self.target(wire)
        planted = self.sandbox.faults.striking(call)
        seq = self.sandbox.ledger.begin(call, None if planted is None else planted.fault.kind)
        answered = False
        try:
            answered = await self._answer(wire, seq, planted)
        finally:
            self.sandbox.ledger.finish(seq, wire.status, answered=answered)

    async def _answer(self, wire: Wire, seq: int, planted: Planted | None) -> bool:
        if planted is None:
            return await wire.send(self._act(wire, seq).response())
        fault, released = planted.fault, planted.released
        if fault.when == "before_acting":
            return await fault.strike(wire, lambda: self._act(wire, seq), released)
        answer = self._act(wire, seq)
        return await fault.strike(wire, lambda: answer, released)

    def _act(self, wire: Wire, seq: int) -> Answer:
        with self.sandbox.store.transaction():
            try:
                decision = self.decide(wire)
            except Refused as refused:
                answer = error_answer(refused.error, refused.description, refused.status)
                decision = Decision(answer, error=refused.error)
            self.sandbox.ledger.decided(seq, decision.verdict, decision.error)
        return decision.answer
