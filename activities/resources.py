"""What activities work with, handed to each of them by whoever assembles the worker."""

from dataclasses import dataclass, field
from datetime import datetime

import httpx
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from domain.errors import NotConfigured
from domain.pages import Pages
from providers.catalogue import Catalogue
from providers.oauth2 import OAuth2
from storage.database import Database, now
from storage.vault import Vault


class DatabaseClock:
    """The one clock everything is measured by: the database's. No two machines are compared."""

    async def now(self, session: AsyncSession) -> datetime:
        """This instant."""
        return await now(session)

    def claimed(self, claimed_at: datetime) -> datetime:
        """When a claim was taken."""
        return claimed_at


class ActivityClock(DatabaseClock):
    """Temporal's clock, as the running activity was told it: for servers that skip time."""

    async def now(self, session: AsyncSession) -> datetime:  # noqa: ARG002 -- the same interface
        """When this attempt of the activity was started."""
        return activity.info().started_time

    def claimed(self, claimed_at: datetime) -> datetime:  # noqa: ARG002 -- the same interface
        """When this attempt of the activity was started."""
        return activity.info().started_time


@dataclass(frozen=True)
class Resources:
    """Database, vault, catalogue, HTTP client and clock of one worker process."""

    database: Database
    vault: Vault
    catalogue: Catalogue
    http: httpx.AsyncClient
    redirect_uri: str
    """Where providers send the user's browser back to."""
    public_url: str | None = None
    """Where the gateway is; None: there is none."""
    clock: DatabaseClock = field(default_factory=DatabaseClock)

    def redirect_to(self, slug: str, pages: Pages) -> str:
        """Where this provider is to send the user's browser back to.

        Raises:
            NotConfigured: to the gateway, and nobody said where that is.
        """
        if pages is Pages.LOOPBACK:
            return self.redirect_uri
        if self.public_url is None:
            raise NotConfigured("MOORLINE_PUBLIC_URL is not set for the workers")
        # One of its own for each provider: what comes back to another is a mix-up (RFC 9700, 4.4).
        return f"{self.public_url}/callback/{slug}"

    def provider(self, slug: str) -> OAuth2:
        """The provider of this slug, ready to be spoken to.

        Raises:
            NotFound: the catalogue has no such entry.
        """
        return OAuth2(self.catalogue.oauth2(slug), self.http)


def cause() -> str:
    """What an event is recorded under: this activity, whichever attempt of it succeeds."""
    info = activity.info()
    return f"{info.workflow_run_id}/{info.activity_id}"
