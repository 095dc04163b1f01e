"""Which manner of asking goes with which entry."""

import httpx

from domain.errors import InvalidInput
from providers.client_certificate import ClientCertificate
from providers.entries_given import CertificateEntry, FileEntry, GivenEntry, HeaderEntry
from providers.file_import import FileImport
from providers.given import Given
from providers.in_header import InHeader


def given_of(entry: GivenEntry, http: httpx.AsyncClient) -> Given:
    """How the provider of this entry is asked about what its users give.

    Raises:
        InvalidInput: nobody knows.
    """
    if isinstance(entry, HeaderEntry):
        return InHeader(entry, http)
    if isinstance(entry, CertificateEntry):
        return ClientCertificate(entry)
    if isinstance(entry, FileEntry):
        return FileImport(entry)
    raise InvalidInput(f"nobody here can verify what users give to {entry.slug}")
