"""The provider's apps of a campaign: how each treats its tokens, and the entries that name them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import JsonValue

from providers.sandbox.behaviour import Behaviour
from providers.sandbox.clients import Registration
from providers.sandbox.remote import Remote

Rotation = Literal["none", "strict", "grace", "key"]

SECRET: Final = "mlcanary-secret-campaign"
BROKER: Final = "campaign-keys"
GRACE_S: Final = 600
"""Longer than any outage of a campaign: where there is grace, no loss is excused."""


@dataclass(frozen=True)
class App:
    """A client app of the provider, or its broker; ``share`` of the connections are at it."""

    slug: str
    rotation: Rotation
    access_ttl_s: float
    share: int
    reads_data: bool = False


APPS: Final = (
    App("campaign-grace", "grace", 20, 30),
    App("campaign-grace-data", "grace", 30, 10, reads_data=True),
    App("campaign-reuse", "none", 5, 3),
    App("campaign-reuse-long", "none", 30, 17),
    App("campaign-strict", "strict", 20, 25),
    App("campaign-strict-long", "strict", 30, 10),
    App(BROKER, "key", 0, 5),
)
BY_SLUG: Final[Mapping[str, App]] = {app.slug: app for app in APPS}


async def register(sandbox: Remote) -> None:
    """Make the apps known to the provider."""
    for app in APPS:
        if app.rotation == "key":
            continue
        behaviour = Behaviour(rotation=app.rotation, grace_s=GRACE_S, access_ttl_s=app.access_ttl_s)
        uris = [
            "http://127.0.0.1/callback",
            f"http://127.0.0.1/callback/{app.slug}",
        ]
        registration = Registration(secret=SECRET, redirect_uris=uris, behaviour=behaviour)
        await sandbox.register(app.slug, registration)


def write_entries(folder: Path, provider: str, link: str) -> None:
    """An entry for each app: browsers go to ``provider``, workers call it over ``link``."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for app in APPS:
        entry = _broker(app, link) if app.rotation == "key" else _oauth2(app, provider, link)
        (folder / f"{app.slug}.yaml").write_text(yaml.safe_dump(entry))


def _oauth2(app: App, provider: str, link: str) -> dict[str, JsonValue]:
    entry: dict[str, JsonValue] = {
        "slug": app.slug,
        "name": app.slug,
        "type": "oauth2",
        "authorize_url": f"{provider}/authorize",
        "token_url": f"{link}/token",
        "revoke_url": f"{link}/revoke",
        "client_id": app.slug,
        "client_secret": SECRET,
        "scopes": ["profile"],
    }
    if app.reads_data:
        entry["data"] = {"reader": "sandbox", "url": f"{link}/api", "every_s": 60}
    return entry


def _broker(app: App, link: str) -> dict[str, JsonValue]:
    return {
        "slug": app.slug,
        "name": app.slug,
        "type": "api_key",
        "verify_url": f"{link}/broker/me",
        "header": "X-Api-Key",
        "prefix": "",
        "data": {"reader": "sandbox", "url": f"{link}/broker"},
        "verify_every_s": 10,
        "refused_again_after_s": 10,
    }
