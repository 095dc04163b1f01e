"""How our own registration at each provider fares.

A refused client id or secret is the operator's trouble: it is noted here, once per provider, and
no connection changes its status for it.
"""

from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.database import run
from storage.tables import ProviderAppRow


async def works(session: AsyncSession, provider_slug: str) -> None:
    """The provider accepted our registration; any trouble noted before is over."""
    await run(
        session,
        """
        UPDATE provider_apps SET misconfigured_since = NULL, misconfigured_code = NULL
        WHERE provider_slug = :slug AND misconfigured_since IS NOT NULL
        """,
        {"slug": provider_slug},
    )


async def misconfigured(
    session: AsyncSession, provider_slug: str, code: str | None, at: datetime
) -> None:
    """The provider refused our registration, with this OAuth error code."""
    await run(
        session,
        """
        INSERT INTO provider_apps (provider_slug, misconfigured_since, misconfigured_code)
        VALUES (:slug, :at, :code)
        ON CONFLICT (provider_slug) DO UPDATE
           SET misconfigured_since = coalesce(provider_apps.misconfigured_since, :at),
               misconfigured_code = :code
        """,
        {"slug": provider_slug, "at": at, "code": code},
    )


async def in_trouble(session: AsyncSession) -> list[ProviderAppRow]:
    """Registrations that the operator must mend."""
    query = select(ProviderAppRow)
    rows = (await session.exec(query)).all()
    return [row for row in rows if row.misconfigured_since is not None]
