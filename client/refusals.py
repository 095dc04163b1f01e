"""What Temporal answers, in our own words.

Updates are refused by the workflow with a type that says why (``docs/messages.md``); everything
else that can go wrong on the way is one of a few things.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from temporalio.client import (
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import (
    Conflict,
    InvalidInput,
    MoorlineError,
    NeedsUser,
    NotConfigured,
    NotFound,
    NotFresh,
    StorageFault,
    Unreachable,
)
from domain.status import ConnectionStatus, StatusReason
from domain.words import WHY


class Gone(NotFound):
    """No workflow of this id lives; unlike what a workflow itself does not find."""


class Draining(NotFresh):
    """The run is about to continue as new; the next one answers."""


class NotVerified(NotFresh):
    """The provider cannot say now whether what a user gave is good."""


FLOODED = "limit for signal events"
"""What Temporal says of a run that was sent as many signals as it takes."""


def needs_user(status: ConnectionStatus, reason: StatusReason) -> NeedsUser:
    """Only the user can bring a connection of this status back; says why."""
    return NeedsUser(f"the connection is {status}: {WHY[reason]}", status=status, reason=reason)


_BY_TYPE: dict[str, type[MoorlineError]] = {
    "InvalidInput": InvalidInput,
    "NotFound": NotFound,
    "Conflict": Conflict,
    "Ended": Conflict,
    "Refused": Conflict,
    "NotAuthorized": Conflict,
    "NotConfigured": NotConfigured,
    "StorageFault": StorageFault,
    "Unavailable": Unreachable,
    "Busy": NotFresh,
    "Draining": Draining,
    "NotVerified": NotVerified,
}


@contextmanager
def in_our_words(connection_id: UUID) -> Iterator[None]:
    """Raise what goes wrong in the block below ``MoorlineError``."""
    try:
        yield
    except WorkflowUpdateFailedError as failed:
        raise translated(failed.cause) from None
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        if isinstance(error.__cause__, asyncio.CancelledError):
            raise error.__cause__ from None  # ours, not the server's: who cancels must see it
        raise Unreachable("no worker has answered; is one running?") from None
    except WorkflowFailureError as failed:
        raise translated(failed.cause) from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Gone(f"no workflow lives for connection {connection_id}") from None
        if error.status is RPCStatusCode.INVALID_ARGUMENT and FLOODED in error.message:
            raise Draining("its workflow takes no more messages for now; try again") from None
        raise Unreachable(f"Temporal does not answer ({error.status.name})") from None


def translated(cause: BaseException) -> MoorlineError:
    """A refusal by the workflow as an exception of ours."""
    if isinstance(cause, ActivityError) and cause.cause is not None:
        return translated(cause.cause)
    if not isinstance(cause, ApplicationError):
        return Conflict("the workflow has ended before it could answer")
    details = cause.details[0] if cause.details else None
    fields = details if isinstance(details, dict) else {}
    if cause.type == "NotActive":
        return NeedsUser(cause.message, status=fields["status"], reason=fields.get("reason"))
    if cause.type == "NotFresh":
        at, seconds = fields.get("retry_at"), fields.get("retry_in_s")
        return NotFresh(
            cause.message,
            retry_at=datetime.fromisoformat(at) if at else None,
            retry_in=None if seconds is None else timedelta(seconds=seconds),
        )
    return _BY_TYPE.get(cause.type or "", Conflict)(cause.message)
