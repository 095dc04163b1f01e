"""``providers``: what is known of each provider, and whether it knows us."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import typer
from pydantic import JsonValue

from moorline.cli.arguments import AsJson, Provider

if TYPE_CHECKING:
    from providers.catalogue import Catalogue
    from providers.entry import OAuth2Entry, ProviderEntry

WITHIN = timedelta(seconds=10)
MARGIN = 24

providers = typer.Typer(
    name="providers",
    help="What is known of each provider, and whether it knows us.",
    no_args_is_help=True,
)


@providers.command("list")
def list_(json: AsJson = False) -> None:
    """List all entries, and whether client id and secret are at hand."""
    from moorline.cli.output import Output
    from moorline.cli.pictures import table

    entries = _every_entry()
    out = Output(json=json)
    if json:
        out.emit([_in_short(entry) for entry in entries])
        return
    rows = [
        (
            entry.slug,
            entry.name,
            *_manner(entry),
            "ready" if _missing(entry) is None else "-",
        )
        for entry in entries
    ]
    out.table(table(("SLUG", "NAME", "CREDENTIAL", "REVOCATION", "DATA", "CLIENT"), rows))


@providers.command()
def show(provider: Provider, json: AsJson = False) -> None:
    """Show one entry as it is read; never a secret."""
    from moorline.cli.output import Output
    from moorline.cli.pictures import lines_of
    from providers.entry import OAuth2Entry

    entry = _catalogue().get(provider)
    said = {**entry.model_dump(mode="json", exclude_none=True), **_in_short(entry)}
    if isinstance(entry, OAuth2Entry) and entry.holds_its_secret:
        said["client_secret"] = "(stands in the entry)"
    out = Output(json=json)
    if json:
        out.emit(said)
    else:
        named = ((name, _plainly(value)) for name, value in said.items())
        out.say(lines_of(named, MARGIN))


@providers.command()
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
    from providers.entry import OAuth2Entry

    entry = _catalogue().get(provider)
    if isinstance(entry, OAuth2Entry):
        return entry
    raise InvalidInput(
        f"{provider} is spoken to with an API key, not with a client id and secret of ours; a key "
        f"is checked when it is given: `moorline connect {provider} --user USER --api-key-stdin`"
    )


def _catalogue() -> "Catalogue":
    from moorline.cli.opening import settings_for_command
    from moorline.settings import TemporalSettings
    from providers.catalogue import Catalogue

    return Catalogue.read(settings_for_command(TemporalSettings).providers)


def _every_entry() -> "list[ProviderEntry]":
    catalogue = _catalogue()
    return [catalogue.get(slug) for slug in catalogue.slugs()]


def _in_short(entry: "ProviderEntry") -> dict[str, JsonValue]:
    missing = _missing(entry)
    return {"slug": entry.slug, "name": entry.name, "ready": missing is None, "missing": missing}


def _manner(entry: "ProviderEntry") -> tuple[str, str, str]:
    """What its users give us, whether that can be revoked from here, and whether data is read."""
    from providers.entry import OAuth2Entry

    data = "yes" if entry.data else "-"
    if not isinstance(entry, OAuth2Entry):
        return "API key", "by the user", data
    revokes = "revokes" if entry.revoke_url else "cannot revoke"
    return f"OAuth 2.0, rotates: {entry.rotation}", revokes, data


def _missing(entry: "ProviderEntry") -> str | None:
    from domain.errors import NotConfigured

    try:
        entry.check_ready()
    except NotConfigured as error:
        return str(error)
    return None


def _plainly(value: object) -> str:
    return "-" if value is None else str(value)


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
    return None, f"{entry.slug} did not say whether it knows us ({said})"
