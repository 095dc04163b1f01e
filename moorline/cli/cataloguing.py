"""``providers``: what is known of each provider, and whether it knows us."""

import asyncio
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import typer
from pydantic import BaseModel, JsonValue

from moorline.cli.arguments import AsJson, Provider
from moorline.cli.help import Command, Group

if TYPE_CHECKING:
    from moorline.cli.output import Output
    from providers.catalogue import Catalogue
    from providers.entry import OAuth2Entry, ProviderEntry
    from storage.tables import ProviderAppRow

WIDEST = math.inf
WITHIN = timedelta(seconds=10)
MARGIN = 24

providers = typer.Typer(
    cls=Group,
    name="providers",
    help="What is known of each provider, and whether it knows us.",
    no_args_is_help=True,
)


@providers.command("list", cls=Command)
def list_(json: AsJson = False) -> None:
    """List all entries, whether client id and secret are at hand, and who refuses ours."""
    from moorline.cli.output import Output
    from moorline.cli.pictures import table

    entries = _every_entry()
    out = Output(json=json)
    troubled = asyncio.run(_troubled(out))
    found = [_in_short(entry, troubled.get(entry.slug)) for entry in entries]
    if json:
        out.emit([each.model_dump(mode="json") for each in found])
        return
    rows = [
        (each.slug, each.name, each.credential, each.revocation, each.reads, each.client)
        for each in found
    ]
    headings = ("SLUG", "NAME", "CREDENTIAL", "REVOCATION", "DATA", "CLIENT")
    out.table(table(headings, rows, whole=("SLUG",)))


@providers.command(cls=Command)
def show(provider: Provider, json: AsJson = False) -> None:
    """Show one entry as it is read; never a secret."""
    from moorline.cli.output import Output
    from moorline.cli.pictures import lines_of
    from providers.entry import OAuth2Entry

    entry = _catalogue().get(provider)
    said = {
        **entry.model_dump(mode="json", exclude_none=True),
        "ready": (missing := _missing(entry)) is None,
        "missing": missing,
    }
    if isinstance(entry, OAuth2Entry) and entry.holds_its_secret:
        said["client_secret"] = "(stands in the entry)"
    out = Output(json=json)
    if json:
        out.emit(said)
    else:
        named = ((name, _plainly(value)) for name, value in said.items())
        out.say(lines_of(named, MARGIN))


@providers.command(cls=Command)
def check(provider: Provider, json: AsJson = False) -> None:
    """Ask the provider whether it knows our client id and secret.

    Presents a refresh token that we made up: a provider that knows us refuses the token, one that
    does not refuses us. No connection is touched.
    """
    from moorline.cli.output import Output

    known, detail = asyncio.run(_ask(_asked_for_users(provider)))
    out = Output(json=json)
    if json:
        out.emit({"provider": provider, "known": known, "detail": detail})
    else:
        out.say(detail)
    raise typer.Exit(0 if known else 1)


def _asked_for_users(provider: str) -> "OAuth2Entry":
    from domain.errors import InvalidInput
    from domain.words import one, option
    from providers.entry import OAuth2Entry

    entry = _catalogue().get(provider)
    if isinstance(entry, OAuth2Entry):
        return entry
    kind = entry.credential_type
    raise InvalidInput(
        f"{provider} works by {one(kind)}, not by a client id and secret of ours; it is checked "
        f"when it is given: `moorline connect {provider} --user USER {option(kind)}`"
    )


def _catalogue() -> "Catalogue":
    from moorline.cli.opening import settings_for_command
    from moorline.settings import TemporalSettings
    from providers.catalogue import Catalogue

    return Catalogue.read(settings_for_command(TemporalSettings).providers)


def _every_entry() -> "list[ProviderEntry]":
    catalogue = _catalogue()
    return [catalogue.get(slug) for slug in catalogue.slugs()]


class Listed(BaseModel):
    """An entry as ``providers list`` shows it."""

    slug: str
    name: str
    credential: str
    revocation: str
    data: bool
    ready: bool
    missing: str | None
    refused_since: datetime | None = None
    refused_code: str | None = None

    @property
    def reads(self) -> str:
        """Whether data is read."""
        return "yes" if self.data else "-"

    @property
    def client(self) -> str:
        """How our own registration is."""
        if self.refused_since is None or not self.ready:
            return "ready" if self.ready else "-"
        return (
            f"refused since {self.refused_since:%Y-%m-%d %H:%M} ({self.refused_code or 'no code'})"
        )


def _in_short(entry: "ProviderEntry", trouble: "ProviderAppRow | None") -> Listed:
    credential, revocation = _manner(entry)
    missing = _missing(entry)
    return Listed(
        slug=entry.slug,
        name=entry.name,
        credential=credential,
        revocation=revocation,
        data=entry.data is not None,
        ready=missing is None,
        missing=missing,
        refused_since=trouble.misconfigured_since if trouble else None,
        refused_code=trouble.misconfigured_code if trouble else None,
    )


async def _troubled(out: "Output") -> "dict[str, ProviderAppRow]":
    """Registrations that a provider refuses, as far as the database can be asked."""
    from domain.errors import MoorlineError
    from moorline.cli.opening import stored
    from storage import provider_apps

    try:
        async with stored() as database, database.transaction() as session:
            return {row.provider_slug: row for row in await provider_apps.in_trouble(session)}
    except MoorlineError as error:
        out.say(f"Who refuses our client id or secret is not known: {error}.")
        return {}


def _manner(entry: "ProviderEntry") -> tuple[str, str]:
    """What its users give us, and whether that can be revoked from here."""
    from domain.words import GIVEN
    from providers.entry import OAuth2Entry

    if not isinstance(entry, OAuth2Entry):
        return GIVEN[entry.credential_type], "by the user"
    revokes = "revokes" if entry.revoke_url else "cannot revoke"
    return f"OAuth 2.0, rotates: {entry.rotation}", revokes


def _missing(entry: "ProviderEntry") -> str | None:
    from domain.errors import NotConfigured

    try:
        entry.check_ready()
    except NotConfigured as error:
        return str(error)
    return None


def _plainly(value: JsonValue) -> str:
    """A value as it is written in an entry."""
    import yaml

    if isinstance(value, str) and value.strip():
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=WIDEST)
    return text.removesuffix("\n").removesuffix("\n...")


async def _ask(entry: "OAuth2Entry") -> tuple[bool | None, str]:
    """Whether the provider knows us (None: it did not say), and that in words."""
    from domain.outcomes import Outcome
    from providers.oauth2 import OAuth2, new_secret
    from providers.transport import new_http_client

    async with new_http_client() as http:
        answer = await OAuth2(entry, http).refresh(new_secret(), within=WITHIN)
    said = answer.code or answer.outcome.value
    if answer.outcome is Outcome.GRANT_DEAD:
        return True, f"{entry.slug} knows our client id and secret ({said} to a made-up token)"
    if answer.outcome is Outcome.APP_MISCONFIGURED:
        return False, f"{entry.slug} refuses our client id or secret ({said})"
    see = "" if answer.code else "; see whether its token_url is right and can be reached"
    return None, f"{entry.slug} did not say whether it knows us ({said}){see}"
