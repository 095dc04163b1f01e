"""How one client app is treated: the switches by which the sandbox resembles this or that vendor.

Lifetimes count from the moment a token is issued, so a change concerns tokens issued after it;
`rotation`, `grace_s` and `revocation_supported` are read at each call and concern all tokens.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Behaviour(BaseModel):
    """What a vendor's documentation would say about its tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotation: Literal["none", "strict", "grace"] = "strict"
    grace_s: Seconds = 30
    access_ttl_s: Seconds = 3600
    refresh_ttl_s: Seconds | None = None
    """Idle lifetime of a refresh token; None = no end."""
    refresh_absolute_s: Seconds | None = None
    """Lifetime of the whole grant's refresh tokens, counted from its authorization."""
    state_expires_in: bool = True
    """Whether token answers carry `expires_in`."""
    issue_refresh_token: bool = True
    revocation_supported: bool = True
    """False: `/revoke` is a 404 for this client."""
    announce_refresh_expiry: bool = False
    """Whether token answers carry `refresh_token_expires_in` (where there is an end at all)."""
