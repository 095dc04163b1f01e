"""What the gateway is told about where it stands; ``moorline.settings`` reads it."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from domain.secret import Secret
from gateway.operators import IdentityProvider


@dataclass(frozen=True)
class Options:
    """Where and for whom the gateway works.

    Attributes:
        public_url: how browsers reach it: scheme and host, no path. https, or http on loopback.
        application: who asks the user; shown on the pages.
        return_urls: where users may be sent back to, exactly.
        ui_origins: where Temporal's web UI is served from; no other page may read what is decoded.
        namespaces: those whose payloads are decoded.
        codec_token: lets the web UI of a development stack have payloads decoded, which has no
            key of its own; None: only with an API key.
        identity_provider: whose tokens let operators have payloads decoded.
    """

    public_url: str
    application: str
    return_urls: frozenset[str] = frozenset()
    ui_origins: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset({"default"})
    codec_token: Secret | None = field(default=None)
    identity_provider: IdentityProvider | None = None

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by https: then cookies are for https only."""
        return self.public_url.startswith("https://")

    @property
    def hosts(self) -> list[str]:
        """The names it is called by; others are turned away (DNS rebinding)."""
        return ["127.0.0.1", "localhost", urlsplit(self.public_url).hostname or ""]
