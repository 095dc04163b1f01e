"""Settings, keys and the catalogue: what can be judged without asking a server."""

import os
from collections.abc import AsyncIterator, Callable, Collection

from domain.errors import NotConfigured, NotFound
from moorline.doctor.findings import Finding, bad, ok, warn
from moorline.settings import Settings, TemporalSettings
from providers.catalogue import Catalogue
from storage.keyring import Keyring

NEW_KEY = (
    "make one with `python -c \"from storage.keyring import new_key; print(new_key('key-1'))\"`, "
    "keep it in a file only you can read, and set {setting}=file:/path"
)
NAMED = 5


async def data_keys(settings: Settings) -> AsyncIterator[Finding]:
    """The keys that wrap data keys."""
    yield _judged("keys", "MOORLINE_KEYS", settings.keyring)


async def payload_keys(settings: TemporalSettings) -> AsyncIterator[Finding]:
    """The keys of Temporal payloads."""
    yield _judged("payload keys", "MOORLINE_PAYLOAD_KEYS", settings.payload_keyring)


async def catalogue(settings: TemporalSettings) -> AsyncIterator[Finding]:
    """Whether every entry can be read, and which are ready to be used."""
    known = Catalogue.read(settings.providers)
    slugs = known.slugs()
    ready = [slug for slug in slugs if _lack(known, slug) is None]
    named = ", ".join(ready[:NAMED]) + (" ..." if len(ready) > NAMED else "")
    said = f"{len(slugs)} entries; client id and secret are at hand for {named or 'none of them'}"
    yield ok("providers", said) if ready else warn("providers", said)


async def providers_in_use(
    settings: TemporalSettings, slugs: Collection[str]
) -> AsyncIterator[Finding]:
    """Whether our registration is at hand with each provider there are connections to."""
    known = Catalogue.read(settings.providers)
    lacks = [lack for slug in sorted(slugs) if (lack := _lack(known, slug)) is not None]
    for lack in lacks:
        mend = "set it for workers, and here: until then its connections are not refreshed"
        yield bad("providers", lack, mend)


def _lack(known: Catalogue, slug: str) -> str | None:
    """What is lacking to speak to this provider."""
    try:
        known.get(slug).check_ready(os.environ)
    except NotConfigured as error:
        return str(error)
    except NotFound:
        return f"there are connections to {slug!r}, and no entry of it"
    return None


def _judged(check: str, setting: str, read: Callable[[], Keyring]) -> Finding:
    try:
        keyring = read()
    except NotConfigured as error:
        return bad(check, str(error), NEW_KEY.format(setting=setting))
    except OSError as error:
        return bad(check, f"{setting}: its file cannot be read ({type(error).__name__})")
    others = len(keyring.keys) - 1
    said = f"{keyring.primary_id!r} encrypts" + (f", {others} more decrypt" if others else "")
    return ok(check, said)
