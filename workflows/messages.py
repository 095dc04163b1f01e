"""What a connection's workflow is told and asked, as data: see ``docs/messages.md``.

Plain JSON from any SDK or the ``temporal`` command line fits. Everything is parsed here, in total
functions: a payload that is garbage never stops a life. A signal is its name; what it carries is
commentary, so a ``revoke`` with garbage inside is still a revoke.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from temporalio.exceptions import ApplicationError

from domain.connection import is_valid_alias
from domain.errors import ProviderConnectionError
from domain.pages import Pages

LONGEST_TTL_S: Final = 10 * 366 * 86_400
"""No token is known for longer than ten years."""


class Unreadable(StrEnum):
    """In the place of a payload that cannot be read; why."""

    SEALED = "encrypted by a key that is not here, or damaged"
    REFUSED = "not encrypted for this workflow"
    MALFORMED = "not JSON"


def _checked_alias(alias: str | None) -> str | None:
    if not is_valid_alias(alias):
        raise ValueError(ProviderConnectionError.INVALID_ALIAS)
    return alias


Alias = Annotated[str | None, AfterValidator(_checked_alias)]
"""A user's own name for a connection; None: none."""


class Message(BaseModel):
    """Base of all: frozen, tolerant of fields it does not know, silent about values it refuses."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


MessageT = TypeVar("MessageT", bound=Message)


class StartConnection(Message):
    """Starts a connection's life.

    Attributes:
        provider_id: derived from the slug unless given.
        imported: born with credentials (``ConnectProvider``) instead of asking the user.
        staged_id: where those credentials are sealed; None has the command refused.
        carried: the life so far, when it continues as new; never set by a caller.
    """

    connection_id: UUID
    user_id: UUID
    provider_slug: str
    provider_id: UUID | None = None
    alias: str | None = None
    imported: bool = False
    staged_id: UUID | None = None
    carried: JsonValue = None


class Revoke(Message):
    """The user takes the grant back."""

    kind: Literal["revoke"] = "revoke"
    actor: str | None = None
    reason: str | None = None
    id: str | None = None


class Disconnect(Message):
    """The user removes the connection."""

    kind: Literal["disconnect"] = "disconnect"
    actor: str | None = None
    reason: str | None = None
    id: str | None = None
    by_operator: bool = False


class Nudge(Message):
    """Continue as new, for instance to move to a new build."""

    kind: Literal["nudge"] = "nudge"


class SyncNow(Message):
    """Read the data now, however lately it was read."""

    kind: Literal["sync_now"] = "sync_now"


Command = Revoke | Disconnect | Nudge | SyncNow


class BeginAuthorization(Message):
    """Have an authorization begun; ``pages``: who serves the user."""

    pages: Pages = Pages.LOOPBACK


class Authorize(Message):
    """Exchange what an authorization brought."""

    attempt_id: UUID


class SupplyKey(Message):
    """Put what the user gives in the place of what is stored; ``staged_id``: where it is sealed."""

    staged_id: UUID


class Rename(Message):
    """Give the connection another name; None takes it away."""

    alias: Alias


class EnsureFresh(Message):
    """See to it that the access token lives long enough.

    Attributes:
        min_ttl_s: for at least so many seconds; at most half its lifetime can be promised.
        seen_generation: and is newer than this one, which the caller has seen refused.
        force: at once, without regard to backoff or to how lately it was refreshed. For
            operators; programs that set it hammer the provider.
    """

    min_ttl_s: float = Field(default=0, ge=0, le=LONGEST_TTL_S, allow_inf_nan=False)
    seen_generation: int | None = None
    force: bool = False


class AuthorizationBegun(Message):
    """Where to send the user."""

    attempt_id: UUID
    url: str


class Fresh(Message):
    """The token that is there now. ``min_ttl_s`` is what could be promised of what was asked."""

    generation: int
    expires_at: datetime | None
    min_ttl_s: float


def heard(kind: type[MessageT], payload: object) -> MessageT:
    """A signal's payload, whatever was sent: what does not fit is left out."""
    try:
        return kind.model_validate(payload if isinstance(payload, dict) else {})
    except ValidationError:
        return kind()


def started(payload: object) -> StartConnection | str:
    """What a workflow was started with, or why it cannot be: then the workflow fails and says so.

    Parsed here, not by the SDK: a start that does not fit would else be tried again for ever.

    Raises:
        RuntimeError: it does not open. That stalls the workflow, until its key is back: a life
            that continues as new must not end because of a missing key.
    """
    if payload is Unreadable.SEALED:
        raise RuntimeError(f"the start cannot be read: it is {payload}")
    if isinstance(payload, Unreadable):
        return f"a connection cannot be started like this: the input is {payload}"
    try:
        return StartConnection.model_validate({} if payload is None else payload)
    except ValidationError as error:
        return f"a connection cannot be started like this: {_problems(error)}"


def asked(kind: type[MessageT], payload: object, extra: tuple[object, ...]) -> MessageT:
    """An update's payload.

    Raises:
        ApplicationError: it does not fit (type ``InvalidInput``); says which field, not its value.
    """
    try:
        if extra:
            raise _invalid("one argument is expected")
        if isinstance(payload, Unreadable):
            raise _invalid(f"the input is {payload}")
        return kind.model_validate({} if payload is None else payload)
    except ValidationError as error:
        raise _invalid(_problems(error)) from None


def _invalid(problem: str) -> ApplicationError:
    return ApplicationError(problem, type="InvalidInput", non_retryable=True)


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'input'}: {problem['msg']}"
        for problem in error.errors()
    )
