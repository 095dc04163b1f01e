"""Operators who come with a token of their identity provider, as Temporal's web UI passes it on.

A JSON Web Token (RFC 7519) of the issuer that is configured, for our audience, signed by one of the
issuer's keys, and saying that its subject is an operator. All of it is checked by ``pyjwt``.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Final

import jwt
from jwt.exceptions import PyJWKClientConnectionError, PyJWKSetError, PyJWTError

from domain.errors import Unreachable

log = logging.getLogger(__name__)

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""By public keys only: whoever can verify a token must not be able to make one."""
LEEWAY_S: Final = 30
TIMEOUT_S: Final = 5
PAUSE_S: Final = 1
"""An issuer that does not tell its keys is not asked again before: anyone can have it asked."""
_NO_KEYS: Final = (PyJWKClientConnectionError, PyJWKSetError, ValueError)  # or no JSON


@dataclass(frozen=True)
class IdentityProvider:
    """Whose tokens are taken, and what they must say.

    Attributes:
        issuer: exactly as in ``iss``.
        audience: one of ``aud``.
        jwks_url: where its public keys are.
        claim, value: what an operator's token says: ``claim`` is ``value``, or a list with it.
    """

    issuer: str
    audience: str
    jwks_url: str
    claim: str
    value: str


class Operators:
    """Tells the tokens of operators from all others."""

    def __init__(self, provider: IdentityProvider) -> None:
        self._provider = provider
        self._keys = jwt.PyJWKClient(provider.jwks_url, timeout=TIMEOUT_S)
        self._asking = asyncio.Lock()
        self._ask_again_at = 0.0

    async def subject_of(self, token: str) -> str | None:
        """Whose token it is; None: no operator's, for whatever reason.

        Raises:
            Unreachable: the identity provider does not tell its keys.
        """
        try:
            claims = jwt.decode(
                token,
                await self._key_of(token),
                algorithms=ALGORITHMS,
                audience=self._provider.audience,
                issuer=self._provider.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except PyJWTError as error:
            log.info("a token was turned away: %s", type(error).__name__)
            return None
        said = claims.get(self._provider.claim)
        is_operator = said == self._provider.value or (
            isinstance(said, list) and self._provider.value in said
        )
        return str(claims["sub"]) if is_operator else None

    async def _key_of(self, token: str) -> jwt.PyJWK:
        """The issuer's key that a token names. One at a time, for asking takes a thread."""
        async with self._asking:
            try:
                if time.monotonic() >= self._ask_again_at:
                    return await asyncio.to_thread(self._keys.get_signing_key_from_jwt, token)
            except _NO_KEYS:
                self._ask_again_at = time.monotonic() + PAUSE_S
        raise Unreachable("the operators' identity provider does not tell its keys")
