"""Reading a token endpoint's success: just far enough to find the tokens.

Total: whatever bytes come in, the answer is tokens or None, never an exception. Providers send
lifetimes as numbers, as strings, as nonsense or not at all, and text in encodings of their own;
none of it may cost a token, for it may be the only one that works.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qsl

from domain.deadlines import DeadlineSource, Lifetimes
from domain.schedule import LONGEST_LIFETIME
from domain.secret import Secret

_REFRESH_TOKEN_LIFETIME = (
    "refresh_token_expires_in",
    "refresh_token_timeout",
    "refresh_expires_in",
    "x_refresh_token_expires_in",
)
_GRANT_LIFETIME = ("authorization_expires_in", "x_refresh_token_hard_expires_in")
_CONSENT_LIFETIME = ("consent_expires_in",)
_TOKEN_TYPE = re.compile(r"[!-~]{1,100}")
MOST_FIELDS = 1000
"""Of a form; with more it is no token answer, and taking it apart would take seconds."""
UNREADABLE = "unreadable"
"""Stands for a token type that is not a word: stored in the clear, so nothing odd may stand there,
and not taken for ``Bearer``."""


@dataclass(frozen=True)
class Tokens:
    """What a token endpoint issued.

    Attributes:
        refresh_token: None when the answer omits it: the one we hold stays valid (RFC 6749, 6).
        token_type: as sent, None if absent, ``UNREADABLE`` if it is not a word; not judged here.
        known: lifetimes by who states them.
    """

    access_token: Secret
    refresh_token: Secret | None = None
    token_type: str | None = None
    scope: str | None = None
    known: Mapping[DeadlineSource, Lifetimes] = field(default_factory=dict)


def parse_object(body: bytes, content_type: str) -> dict[str, object] | None:
    """The answer's fields: of a JSON object, or of a form where the answer says it is one."""
    # A byte-order mark or a stray byte in some description does not hide the tokens beside it.
    text = body.decode(json.detect_encoding(body), "replace")
    if isinstance(value := _json(text), dict):
        return value
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        return _form(text)
    return None


def parse_tokens(fields: Mapping[str, object]) -> Tokens | None:
    """The tokens among the answer's fields; None without an access token."""
    access_token = _text(fields.get("access_token"))
    if access_token is None:
        return None
    refresh_token = _text(fields.get("refresh_token"))
    return Tokens(
        access_token=Secret(access_token),
        refresh_token=None if refresh_token is None else Secret(refresh_token),
        token_type=_token_type(fields.get("token_type")),
        scope=_text(fields.get("scope")),
        known={
            DeadlineSource.RESPONSE: Lifetimes(
                access_token=parse_seconds(fields.get("expires_in")),
                refresh_token=_first(fields, _REFRESH_TOKEN_LIFETIME),
                grant=_first(fields, _GRANT_LIFETIME),
                consent=_first(fields, _CONSENT_LIFETIME),
            ),
            DeadlineSource.JWT: Lifetimes(access_token=_jwt_lifetime(access_token)),
        },
    )


def is_bearer(token_type: str | None) -> bool:
    """Whether a token may simply be presented; servers that do not say mean yes."""
    return token_type is None or token_type.lower() == "bearer"


def parse_seconds(value: object) -> timedelta | None:
    """A duration from whatever a provider sent for one.

    Numbers and numeric strings count; negative ones are zero; at most ten years. Anything else
    (absent, null, boolean, list, NaN, infinity, words) is None: not stated.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds):
        return None
    longest = LONGEST_LIFETIME.total_seconds()
    return timedelta(seconds=min(max(seconds, 0.0), longest))


def _first(fields: Mapping[str, object], names: tuple[str, ...]) -> timedelta | None:
    """The first that is stated. Zero is how some servers say that there is no end (Keycloak of its
    offline tokens): nobody issues a refresh token that is dead."""
    return next((life for name in names if (life := parse_seconds(fields.get(name)))), None)


def _text(value: object) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can write it, nobody can send it
        return None
    return value


def _token_type(value: object) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) and _TOKEN_TYPE.fullmatch(value) else UNREADABLE


def _json(text: str) -> object:
    try:
        # Numbers of any length: Python would refuse an integer of more than 4300 digits.
        return json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return None


def _form(text: str) -> dict[str, object] | None:
    try:
        return dict(parse_qsl(text, max_num_fields=MOST_FIELDS))
    except ValueError:
        return None


def _jwt_lifetime(token: str) -> timedelta | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)).decode()
    except (ValueError, binascii.Error):
        return None
    claims = _json(payload)
    if not isinstance(claims, dict):
        return None
    match claims.get("exp"), claims.get("iat"):
        case (float(ends), float(begins)):
            # Both instants are the provider's, so no two clocks are compared.
            return parse_seconds(ends - begins) or None
    return None
