"""Reading accounts, holdings and transactions: one reader for each provider's data API.

A reader turns what a provider answers into ``domain.finances``, and whatever goes wrong into
``ReadingFailed``. It stores nothing, and keeps nothing of an answer that is not asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx

from domain.secret import Secret
from domain.syncs import SyncOutcome
from providers.client_certificate import Misconfigured, client_of
from providers.entries_given import CertificateEntry, HeaderEntry
from providers.entry import ProviderEntry
from providers.in_header import headers_of
from providers.key_pairs import Unusable
from providers.readers.file_import import FileReader
from providers.readers.reading import Reader, ReadingFailed, Source
from providers.readers.sandbox import SandboxReader

READERS: Final = {"sandbox": SandboxReader}
"""By the name that an entry's ``data.reader`` gives, of all that ask a provider."""


@asynccontextmanager
async def reading(
    entry: ProviderEntry, secret: Mapping[str, Secret], http: httpx.AsyncClient
) -> AsyncIterator[Reader]:
    """The reader of this provider, with one connection's credentials in its hands.

    Raises:
        ReadingFailed: there is nothing to read, or nothing to read it with.
    """
    if entry.data is None:
        raise ReadingFailed(SyncOutcome.UNSUPPORTED)
    kind = entry.credential_type
    if not all(secret.get(name) for name in kind.needs):
        raise ReadingFailed(SyncOutcome.UNREADABLE)
    if entry.data.url is None:
        yield await asyncio.to_thread(FileReader, secret["file_content"])
    elif isinstance(entry, CertificateEntry):
        async with _knowing(entry, secret) as known:
            yield READERS[entry.data.reader](Source(entry.data.url, {}, known))
    else:
        headers = _headers(entry, secret)
        yield READERS[entry.data.reader](Source(entry.data.url, headers, http))


def _headers(entry: ProviderEntry, secret: Mapping[str, Secret]) -> Mapping[str, str]:
    if isinstance(entry, HeaderEntry):
        return headers_of(entry, secret)
    return {"authorization": f"Bearer {secret[entry.credential_type.needs[0]].reveal()}"}


@asynccontextmanager
async def _knowing(
    entry: CertificateEntry, secret: Mapping[str, Secret]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that shows the user's certificate."""
    async with AsyncExitStack() as stack:
        try:
            http = await stack.enter_async_context(client_of(entry, secret))
        except (Unusable, Misconfigured):
            raise ReadingFailed(SyncOutcome.UNREADABLE) from None
        yield http
