"""Continuing as new: how a life of years stays a history of minutes.

A run hands the next one its state and the messages it has not heeded yet. Nothing may get lost on
the way: no signal, no update, and no cancellation.
"""

from typing import Annotated, Final, NoReturn

from pydantic import BaseModel, Field, JsonValue, ValidationError
from temporalio import workflow
from temporalio.workflow import ContinueAsNewVersioningBehavior

from workflows.life import Life
from workflows.messages import Command, StartConnection
from workflows.visibility import IndexEntry

LONG_HISTORY: Final = 500
"""Events after which the life continues as new: replaying costs 0.4 ms an event."""


class Carried(BaseModel):
    """What a run hands to the next."""

    life: Life
    inbox: list[Annotated[Command, Field(discriminator="kind")]]
    entry: IndexEntry | None


def is_wanted() -> bool:
    """Whether this run has become long, or there is a newer build to move to."""
    info = workflow.info()
    return (
        info.get_current_history_length() > LONG_HISTORY
        or info.is_continue_as_new_suggested()
        or info.is_target_worker_deployment_version_changed()
    )


def is_overdue() -> bool:
    """Whether new questions must wait for the next run, so that this one comes to its end."""
    return workflow.info().get_current_history_length() > 2 * LONG_HISTORY


def continue_as_new(start: StartConnection, carried: Carried) -> NoReturn:
    """Hand over; to the newest build, if there is another than this."""
    moved_on = workflow.info().is_target_worker_deployment_version_changed()
    behavior = ContinueAsNewVersioningBehavior.AUTO_UPGRADE if moved_on else None
    workflow.continue_as_new(
        start.model_copy(update={"carried": carried.model_dump(mode="json")}),
        initial_versioning_behavior=behavior,
    )


def resumed(carried: JsonValue) -> Carried:
    """Take up what the run before handed over.

    Raises:
        RuntimeError: it does not fit this code. That stalls the workflow (mend the code and it
            goes on) where a ``ValidationError`` would end it.
    """
    try:
        return Carried.model_validate(carried)
    except ValidationError as error:
        raise RuntimeError(f"the carried life does not fit: {error.error_count()} errors") from None
