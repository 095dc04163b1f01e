"""Opening what a command works with, and no more than that.

Reading needs the database alone; a lease needs Temporal only where the token is too old. So each
command still works while the parts it does not need are away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from domain.errors import NeedsUser
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from domain.words import GIVEN, instant, option
from moorline import logs
from moorline.settings import Settings, TemporalSettings, load_as

if TYPE_CHECKING:
    from uuid import UUID

    from moorline.assembly import Parts
    from storage.database import Database

SettingsT = TypeVar("SettingsT", bound=TemporalSettings)


def settings_for_command(kind: type[SettingsT]) -> SettingsT:
    """The settings; from here on only what goes badly wrong is logged."""
    settings = load_as(kind)
    logs.set_up("DEBUG" if settings.log_level == "DEBUG" else "CRITICAL", settings.log_format)
    return settings


def settings_for_process(kind: type[SettingsT]) -> SettingsT:
    """The settings of a process that runs on; from here on it logs."""
    settings = load_as(kind)
    logs.set_up(settings.log_level, settings.log_format)
    logs.forward_temporal(settings.log_level)
    return settings


@asynccontextmanager
async def everything() -> AsyncIterator[Parts]:
    """All parts: for whatever sends messages."""
    from moorline.assembly import opened

    settings = settings_for_command(Settings)
    logs.forward_temporal("CRITICAL")
    async with opened(settings) as parts:
        yield parts


@asynccontextmanager
async def stored() -> AsyncIterator[Database]:
    """The database alone, checked: for whatever only reads."""
    from storage import schema
    from storage.database import Database

    settings = settings_for_command(Settings)
    database = Database(settings.database_url.get_secret_value())
    try:
        await schema.check(database)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def naming_the_way_back(connection_id: UUID) -> AsyncIterator[None]:
    """Where only the user can help, name the command by which he does."""
    try:
        yield
    except NeedsUser as error:
        if error.status == ConnectionStatus.DISCONNECTED:
            raise  # nothing leads back
        raise NeedsUser(
            f"{str(error).rstrip('.')}; {await _way_back(connection_id)}",
            status=error.status,
            reason=error.reason,
        ) from None


async def _way_back(connection_id: UUID) -> str:
    from storage import views

    async with stored() as database, database.transaction() as session:
        view = await views.get(session, connection_id)
    return way_back(view)


def way_back(view: ConnectionView) -> str:
    """The command by which a user brings a connection back."""
    if (kind := view.credential_type).is_given:
        command = f"moorline authorize {view.connection_id} {option(kind)}"
        return f"`{command}` gives it another {GIVEN[kind].removeprefix('API ')}"
    return f"`moorline authorize {view.connection_id}` asks the user for access"


def over(view: ConnectionView) -> str:
    """That a connection has ended."""
    return f"connection {view.connection_id} is over: disconnected {instant(view.since)}"
