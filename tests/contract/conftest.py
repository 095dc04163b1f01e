"""Every server of ``counterparts``, in every manner of rotating, one after the other."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from providers.transport import new_http_client
from tests.contract.counterparts import Again, Counterpart, sandbox, toolkit

MANNERS = {
    "the sandbox, strict": ("sandbox", Again.REFUSED),
    "the sandbox, with grace": ("sandbox", Again.NEW_PAIR),
    "django-oauth-toolkit, strict": ("toolkit", Again.REFUSED),
    "django-oauth-toolkit, with grace": ("toolkit", Again.SAME_PAIR),
}


@pytest.fixture(scope="session", params=list(MANNERS.values()), ids=list(MANNERS))
async def counterpart(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Counterpart]:
    kind, again = request.param
    folder: Path = tmp_path_factory.mktemp("counterpart")
    async with sandbox(again) if kind == "sandbox" else toolkit(again, folder) as made:
        yield made


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with new_http_client() as made:
        yield made
