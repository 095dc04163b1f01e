"""Settings, keys and the catalogue: what can be judged without asking a server."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Collection

from domain.errors import NotConfigured, NotFound
from moorline.doctor.findings import Finding, bad, ok, warn
from moorline.settings import Settings, TemporalSettings
from providers.catalogue import Catalogue
from storage.keyring import Keyring

NEW_KEY = (
    f'make one with `{sys.executable} -c "from storage.keyring import new_key; '
    "print(new_key('key-1'))\"`, keep it in a file only you can read, and set "
    "{setting}=file:/path"
)
OLD_KEYS = (
    "correct {setting} (docs/settings.md): give back the keys that were used before, a new one "
    "opens nothing that is stored"
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
    try:
        known = Catalogue.read(settings.providers)
    except NotConfigured as error:
        mend = "correct it as docs/providers.md says, or MOORLINE_PROVIDERS: nothing starts before"
        yield bad("providers", str(error), mend)
        return
    slugs = known.slugs()
    ready = [slug for slug in slugs if lack_of(known, slug) is None]
    named = ", ".join(ready[:NAMED]) + (" ..." if len(ready) > NAMED else "")
    said = f"{len(slugs)} entries; client id and secret are at hand for {named or 'none of them'}"
    mend = "set client id and secret of those you use, as `moorline providers show SLUG` names them"
    yield ok("providers", said) if ready else warn("providers", said, mend)


async def providers_in_use(
    settings: TemporalSettings, slugs: Collection[str]
) -> AsyncIterator[Finding]:
    """Whether our registration is at hand with each provider there are connections to."""
    known = Catalogue.read(settings.providers)
    lacks = [lack for slug in sorted(slugs) if (lack := lack_of(known, slug)) is not None]
    for lack in lacks:
        mend = "set it for workers, and here: until then its connections are not refreshed"
        yield bad("providers", lack, mend)


def lack_of(known: Catalogue, slug: str) -> str | None:
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
        unset = str(error).startswith(f"{setting} is not set")
        return bad(check, str(error), (NEW_KEY if unset else OLD_KEYS).format(setting=setting))
    others = len(keyring.keys) - 1
    said = f"{keyring.primary_id!r} encrypts" + (f", {others} more decrypt" if others else "")
    return ok(check, said)
