"""Files that users export at a provider and give to us: read here, and sent to nobody."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from domain.files import LONGEST_FILE
from domain.outcomes import Outcome
from domain.secret import Secret
from providers.classifier import Answer
from providers.entries_given import FileEntry
from providers.given import GivenRefusal
from providers.statement import NotAStatement, Statement


class FileImport:
    """One provider whose users bring files."""

    def __init__(self, entry: FileEntry) -> None:
        self.entry = entry

    async def verify(self, secret: Mapping[str, Secret], *, within: timedelta) -> Answer:
        """Whether it can be read."""
        refused = await self.refusal_of(secret, within=within)
        return Answer(Outcome.KEY_REFUSED if refused else Outcome.VERIFIED)

    async def refusal_of(
        self,
        secret: Mapping[str, Secret],
        *,
        within: timedelta,  # noqa: ARG002 -- the same interface
    ) -> GivenRefusal | None:
        """Why it cannot be read, by line and column; None if it can."""
        if secret["file_format"].reveal() not in self.entry.formats:
            return GivenRefusal(f"{self.entry.name} takes {' and '.join(self.entry.formats)} files")
        content = secret["file_content"].reveal()
        if len(content.encode(errors="surrogatepass")) > LONGEST_FILE:
            return GivenRefusal(f"a file has at most {LONGEST_FILE} bytes")
        try:
            await asyncio.to_thread(Statement.parse, content)
        except NotAStatement as error:
            return GivenRefusal(f"this file cannot be read: {error}")
        return None

    def ends_at(self, secret: Mapping[str, Secret]) -> datetime | None:  # noqa: ARG002 -- the same
        """It has no end."""
        return None
