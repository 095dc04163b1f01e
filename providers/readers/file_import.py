"""What a user's file tells, page by page like everything else that is read."""

import hashlib
from typing import Final

from domain.finances import Account, Holding, TransactionPage
from domain.secret import Secret
from domain.syncs import SyncOutcome
from providers.readers.reading import ReadingFailed
from providers.statement import NotAStatement, Statement

PAGE: Final = 500


class FileReader:
    """One file. A cursor counts within it only: another file is read from its beginning.

    Raises:
        ReadingFailed: it cannot be read, as no file is that was verified here.
    """

    def __init__(self, content: Secret) -> None:
        text = content.reveal()
        try:
            self._statement = Statement.parse(text)
        except NotAStatement:
            raise ReadingFailed(SyncOutcome.UNREADABLE) from None
        self._digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]

    async def accounts(self) -> tuple[Account, ...]:
        """All accounts, as of their last line."""
        return tuple(self._statement.accounts.values())

    async def holdings(self, account_id: str) -> tuple[Holding, ...]:  # noqa: ARG002 -- the same
        """A file of this layout tells of none."""
        return ()

    async def transactions(self, account_id: str, cursor: str | None) -> TransactionPage:
        """At most 500 transactions after ``cursor``."""
        digest, _, count = (cursor or "").partition(":")
        done = int(count) if digest == self._digest and count.isdecimal() else 0
        found = self._statement.transactions.get(account_id, ())
        page = found[done : done + PAGE]
        reached = done + len(page)
        return TransactionPage(page, f"{self._digest}:{reached}", reached < len(found))
