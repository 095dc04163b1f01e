"""How the sandbox's secrets are made and remembered: recognisable when leaked, stored as digests.

Every token carries a canary prefix, so that a search for it through databases, logs and pages finds
any place a token has no business in. Nothing here may keep a plaintext.
"""

import hashlib
import hmac
import secrets
from typing import Literal

Kind = Literal["at", "rt", "code", "sid", "key", "link", "cert"]


def mint(kind: Kind) -> str:
    """A new secret with 192 bits of randomness."""
    return f"mlcanary-{kind}-{secrets.token_urlsafe(24)}"


def digest(secret: str) -> str:
    """What is stored in a secret's place."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(given: str, stored_digest: str) -> bool:
    """Whether `given` is the secret behind the digest; its timing tells nothing."""
    return hmac.compare_digest(digest(given), stored_digest)
