"""Credentials one has, as they stand on standard input: never in arguments, never echoed.

Light to load, so that what is no credentials is refused before anything is opened.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from domain.credentials import CredentialType
from domain.errors import InvalidInput
from domain.secret import Secret

LONGEST = 1 << 20
LONGEST_LIFE_S = 10**10
EXPECTED = (
    'expects a JSON object on standard input, as a provider answers it: {"access_token": "...", '
    '"refresh_token": "...", "expires_in": 3600}; pipe it in, or redirect a file: < credentials'
)

NotEmpty = Annotated[str, Field(min_length=1)]


class Answer(BaseModel):
    """What a token endpoint answers, as far as it is kept."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: NotEmpty = Field(repr=False)
    refresh_token: NotEmpty | None = Field(default=None, repr=False)
    token_type: NotEmpty | None = None
    scope: str | None = None
    expires_in: Annotated[float, Field(gt=0, le=LONGEST_LIFE_S)] | None = None
    expires_at: AwareDatetime | None = None


@dataclass(frozen=True)
class Given:
    """The secrets by name, of which type they are, and when the access token ends, if known."""

    secret: Mapping[str, Secret]
    credential_type: CredentialType = CredentialType.OAUTH2
    ends_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing can come of it any more: it has ended, and nothing can refresh it."""
        ended = self.ends_at is not None and self.ends_at <= datetime.now(UTC)
        return ended and "refresh_token" not in self.secret


def read_credentials(ends_at: datetime | None) -> Given:
    """The credentials on standard input.

    Raises:
        BadParameter: nobody has redirected standard input.
        InvalidInput: what stands there is something else; never says what.
    """
    text = _standard_input(f"--credentials-stdin {EXPECTED}")
    try:
        answer = Answer.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput(f"standard input: {_problems(error)}; it {EXPECTED}") from None
    if [answer.expires_in, answer.expires_at, ends_at].count(None) < 2:
        raise InvalidInput("give the end of the access token once: expires_in or expires_at")
    fields = answer.model_dump(exclude={"expires_in", "expires_at"}, exclude_none=True)
    ends_at = ends_at or answer.expires_at
    if answer.expires_in is not None:
        ends_at = datetime.now(UTC) + timedelta(seconds=answer.expires_in)
    secret = {name: Secret(value) for name, value in fields.items()}
    return Given(secret, ends_at=ends_at)


def read_api_key() -> Given:
    """The key on standard input.

    Raises:
        BadParameter: nobody has redirected standard input.
        InvalidInput: what stands there is no line of printable ASCII; never says what.
    """
    text = _standard_input("--api-key-stdin expects the key on standard input; pipe it in")
    key = text.strip()
    if not key or not all(32 < byte < 127 for byte in key):
        raise InvalidInput("standard input: an API key is one line of printable ASCII, no spaces")
    return Given({"api_key": Secret(key.decode("ascii"))}, CredentialType.API_KEY)


def _standard_input(expected: str) -> bytes:
    if sys.stdin.isatty():
        raise typer.BadParameter(expected)
    text = sys.stdin.buffer.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise InvalidInput("standard input is longer than credentials can be")
    return text


def _problems(error: ValidationError) -> str:
    """Which fields are wrong; only names of ours, nothing of what was given."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if any(problem["type"] == "json_invalid" for problem in found):
        return "this is not JSON"
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'input'}: {problem['msg']}"
        for problem in found
    )
