"""The names others call workflows by: a stable wire contract, see ``docs/messages.md``."""

from typing import Any, Final
from uuid import UUID

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from domain.view import ConnectionView

TASK_QUEUE: Final = "moorline"

CONNECTION_STATUS: Final = SearchAttributeKey.for_keyword("ConnectionStatus")
PROVIDER_SLUG: Final = SearchAttributeKey.for_keyword("ProviderSlug")
USER_ID: Final = SearchAttributeKey.for_keyword("UserId")
STATUS_REASON: Final = SearchAttributeKey.for_keyword("StatusReason")
REAUTHORIZE_BY: Final = SearchAttributeKey.for_datetime("ReauthorizeBy")
SEARCH_ATTRIBUTES: Final = (
    CONNECTION_STATUS,
    PROVIDER_SLUG,
    USER_ID,
    STATUS_REASON,
    REAUTHORIZE_BY,
)


def reading_queue(task_queue: str) -> str:
    """Where data is read for the lives of a task queue: it takes long, and must hold up nothing."""
    return f"{task_queue}-reading"


def workflow_id(connection_id: UUID) -> str:
    """The id of a connection's workflow. Ids are plain text everywhere: nothing personal in it."""
    return f"connection-{connection_id}"


def search_attributes(view: ConnectionView) -> list[SearchAttributeUpdate[Any]]:
    """What of a connection can be searched for; nothing personal."""
    by = view.reauthorize_by
    return [
        CONNECTION_STATUS.value_set(view.status),
        STATUS_REASON.value_set(view.reason),
        PROVIDER_SLUG.value_set(view.provider_slug),
        USER_ID.value_set(str(view.user_id)),
        REAUTHORIZE_BY.value_unset() if by is None else REAUTHORIZE_BY.value_set(by),
    ]
