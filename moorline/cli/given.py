"""Credentials one has, as they stand on standard input: never in arguments, never echoed.

Light to load, so that what is no credentials is refused before anything is opened.
"""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import typer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from domain.credentials import CredentialType
from domain.errors import InvalidInput
from domain.files import LONGEST_FILE
from domain.secret import Secret
from domain.words import one, option

LONGEST = 1 << 20
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
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


def read_given(kind: CredentialType) -> Given:
    """What a user gives, on standard input.

    Raises:
        BadParameter: nobody has redirected standard input.
        InvalidInput: what stands there cannot be that; never says what.
    """
    text = _standard_input(f"{option(kind)} expects it on standard input; pipe it in")
    return Given(_READ[kind](text), kind)


def kind_of(**asked: bool) -> CredentialType | None:
    """The one kind that was asked for; None: none was.

    Raises:
        BadParameter: several were.
    """
    wanted = [CredentialType(name) for name, is_asked in asked.items() if is_asked]
    if len(wanted) > 1:
        raise typer.BadParameter(f"give one of {' and '.join(map(option, wanted))}, not both")
    return wanted[0] if wanted else None


def _line(kind: CredentialType, text: bytes) -> dict[str, Secret]:
    line = text.strip()
    if not line or not all(32 < byte < 127 for byte in line):
        said = f"{one(kind)} is one line of printable ASCII, no spaces"
        raise InvalidInput(f"standard input: {said}")
    return {kind.needs[0]: Secret(line.decode("ascii"))}


def _certificate(text: bytes) -> dict[str, Secret]:
    """One PEM text: the certificate first, then those in between, the key anywhere."""
    blocks = [block.group() for block in _PEM.finditer(text.decode("ascii", errors="replace"))]
    keys = [block for block in blocks if "PRIVATE KEY-----" in block]
    certificates = [block for block in blocks if "-----BEGIN CERTIFICATE-----" in block]
    if len(keys) != 1 or not certificates:
        expected = "a certificate and its private key, both PEM, one after the other"
        raise InvalidInput(f"standard input: expected {expected}")
    first, *others = certificates
    parts = {"client_certificate": first, "private_key": keys[0]}
    if others:
        parts["certificate_chain"] = "\n".join(others)
    return {name: Secret(part) for name, part in parts.items()}


def _file(text: bytes) -> dict[str, Secret]:
    if not text or len(text) > LONGEST_FILE:
        raise InvalidInput(f"standard input: a file has 1 to {LONGEST_FILE} bytes")
    try:
        content = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput("standard input: the file is not UTF-8") from None
    parts = {"file_content": content, "file_format": "csv", "file_name": "file"}
    return {name: Secret(part) for name, part in parts.items()}


_READ: Mapping[CredentialType, Callable[[bytes], dict[str, Secret]]] = {
    CredentialType.API_KEY: partial(_line, CredentialType.API_KEY),
    CredentialType.LINK_TOKEN: partial(_line, CredentialType.LINK_TOKEN),
    CredentialType.CERTIFICATE: _certificate,
    CredentialType.FILE_IMPORT: _file,
}


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
