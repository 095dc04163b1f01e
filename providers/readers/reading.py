"""What every reader is, and how it asks: one GET, whose failure has a name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final, NoReturn, Protocol, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict

from domain.finances import Account, Holding, TransactionPage
from domain.syncs import SyncOutcome
from providers.classifier import asked_to_wait
from providers.transport import NoReply, get

WITHIN: Final = timedelta(seconds=20)
BY_STATUS: Final = {
    401: SyncOutcome.UNAUTHORIZED,
    403: SyncOutcome.FORBIDDEN,
    429: SyncOutcome.RATE_LIMITED,
}


class ReadingFailed(Exception):
    """Nothing usable was read; ``outcome`` says what it means. Never holds the provider's text."""

    def __init__(self, outcome: SyncOutcome, retry_after: timedelta | None = None) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.retry_after = retry_after


class Reader(Protocol):
    """A provider's data, as one connection may see it. Everything raises ``ReadingFailed``."""

    async def accounts(self) -> tuple[Account, ...]:
        """All accounts, as they are now."""
        ...

    async def holdings(self, account_id: str) -> tuple[Holding, ...]:
        """All positions in an account, as they are now."""
        ...

    async def transactions(self, account_id: str, cursor: str | None) -> TransactionPage:
        """Transactions after ``cursor``, oldest first; None begins at the first there is."""
        ...


class Answer(BaseModel):
    """Base of what a reader understands of an answer: strict about what it needs, blind to the
    rest, silent about values it refuses."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


AnswerT = TypeVar("AnswerT", bound=Answer)


@dataclass(frozen=True)
class Source:
    """Where to ask, and the headers that open it."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    http: httpx.AsyncClient = field(repr=False)

    async def ask(
        self, path: str, kind: type[AnswerT], params: Mapping[str, str] | None = None
    ) -> AnswerT:
        """GET ``url/path`` and understand the answer.

        Raises:
            ReadingFailed: it cannot be had, or is not what ``kind`` says.
        """
        reply = await get(
            self.http, f"{self.url}/{path}", headers=self.headers, within=WITHIN, params=params
        )
        if isinstance(reply, NoReply):
            refused = reply.refused
            raise ReadingFailed(SyncOutcome.UNAUTHORIZED if refused else SyncOutcome.TRANSIENT)
        if not 200 <= reply.status < 300 or reply.is_page:
            known = SyncOutcome.TRANSIENT if reply.is_page else BY_STATUS.get(reply.status)
            retry_after = asked_to_wait(reply.headers)
            raise ReadingFailed(known or SyncOutcome.TRANSIENT, retry_after)
        try:
            # Numbers as they are written: a float would change an amount of more than 15 digits.
            said = json.loads(reply.body, parse_float=Decimal, parse_constant=_no_number)
            return kind.model_validate(said)
        except (ValueError, RecursionError):  # pydantic's refusal is a ValueError, too
            raise ReadingFailed(SyncOutcome.UNREADABLE) from None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
