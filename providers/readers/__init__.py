"""Reading accounts, holdings and transactions: one reader for each provider's data API.

A reader turns what a provider answers into ``domain.finances``, and whatever goes wrong into
``ReadingFailed``. It stores nothing, and keeps nothing of an answer that is not asked for.
"""

from collections.abc import Mapping
from typing import Final

import httpx

from domain.credentials import CredentialType
from domain.secret import Secret
from domain.syncs import SyncOutcome
from providers.api_key import key_header
from providers.entry import ApiKeyEntry, ProviderEntry
from providers.readers.reading import Reader, ReadingFailed, Source
from providers.readers.sandbox import SandboxReader

READERS: Final = {"sandbox": SandboxReader}
"""By the name that an entry's ``data.reader`` gives."""

OPENS: Final = {CredentialType.API_KEY: "api_key"}
"""Which part of the sealed secret opens the data; for all other types the access token."""


def reader_of(
    entry: ProviderEntry, secret: Mapping[str, Secret], http: httpx.AsyncClient
) -> Reader:
    """The reader of this provider, with one connection's credentials in its hands.

    Raises:
        ReadingFailed: there is nothing to read, or nothing to read it with.
    """
    if entry.data is None:
        raise ReadingFailed(SyncOutcome.UNSUPPORTED)
    opening = secret.get(OPENS.get(entry.credential_type, "access_token"))
    if opening is None:
        raise ReadingFailed(SyncOutcome.UNREADABLE)
    if isinstance(entry, ApiKeyEntry):
        headers = key_header(entry, opening)
    else:
        headers = {"authorization": f"Bearer {opening.reveal()}"}
    return READERS[entry.data.reader](Source(entry.data.url, headers, http))
