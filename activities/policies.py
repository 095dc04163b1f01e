"""How long each kind of activity may take, and when it is tried again.

Retries here cover only what happened to *us*: a worker that died, a database that is away. What a
provider answers, be it an outage, is an ordinary result: the workflow sees it, says it and decides.
"""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

HEARTBEAT_TIMEOUT = timedelta(seconds=5)
HEARTBEAT_EVERY = timedelta(seconds=2)
"""First after this long: a call that is quicker costs no heartbeat, and so no action."""
CLAIM_PATIENCE = timedelta(seconds=15)
"""Longer than a dead holder's lease: a successor gets its turn within one attempt."""
CALL_DEADLINE = timedelta(seconds=20)
"""The whole of one exchange, from the claim on."""
COMMIT_PATIENCE = timedelta(seconds=5)
"""How long a commit is tried before the sealed envelope is handed to Temporal instead."""

SYNC_DEADLINE = timedelta(minutes=30)
"""The longest one attempt reads; what it has stored by then is not read again."""

_OUR_MISTAKES = ["NotFound", "Conflict", "InvalidInput", "StorageFault", "NotConfigured"]
"""Not worth another try, where somebody is told of it. Where nobody is, everything is tried again:
a wrong password of the database, say, is mended while the life waits, and nothing is lost."""


class Options(TypedDict, total=False):
    """The keyword arguments of ``workflow.execute_activity_method`` that a policy sets."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


STORE: Options = {
    # One short transaction that the life cannot go on without. Whatever is wrong only delays: it is
    # tried for ever, and shown as a pending activity. One whose worker was killed is begun again as
    # soon as the heartbeats have stopped; one that hangs may take its time: the database gives up
    # before.
    "start_to_close_timeout": timedelta(seconds=30),
    "heartbeat_timeout": HEARTBEAT_TIMEOUT,
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=30)
    ),
}

ASK: Options = {
    # As above, but somebody waits for the answer: give up and say so.
    **STORE,
    "schedule_to_close_timeout": timedelta(seconds=20),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        maximum_interval=timedelta(seconds=30),
        non_retryable_error_types=_OUR_MISTAKES,
    ),
}

CALL: Options = {
    # Waits for the claim, calls the provider once, commits. Heartbeats make a killed worker's
    # successor start within seconds, and grace windows are short. Cancelling waits for the result:
    # an exchange in flight is honoured.
    "start_to_close_timeout": CLAIM_PATIENCE + CALL_DEADLINE + 3 * COMMIT_PATIENCE,
    "schedule_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": HEARTBEAT_TIMEOUT,
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        maximum_interval=timedelta(seconds=10),
        non_retryable_error_types=_OUR_MISTAKES,
    ),
}

SYNC: Options = {
    # Reads page by page and stores each with its cursor, so a killed worker's successor goes on
    # where it was, as soon as the heartbeats have stopped. Cancelling waits until it has let go.
    "start_to_close_timeout": SYNC_DEADLINE,
    "schedule_to_close_timeout": 2 * SYNC_DEADLINE,
    "heartbeat_timeout": HEARTBEAT_TIMEOUT,
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        maximum_interval=timedelta(seconds=30),
        non_retryable_error_types=_OUR_MISTAKES,
    ),
}
