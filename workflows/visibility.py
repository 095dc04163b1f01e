"""What others see of a connection in Temporal: the text of the web UI, and what can be searched.

Details are free. Search attributes cost an action each time, so they are written when the status
changes, or when the deadline a person must meet has moved noticeably.
"""

from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel
from temporalio import workflow

from domain.explanation import explain
from domain.status import ConnectionStatus, StatusReason
from domain.view import ConnectionView
from workflows.names import search_attributes

NOTICEABLE: Final = timedelta(days=1)


class IndexEntry(BaseModel):
    """What the search attributes say of a connection."""

    status: ConnectionStatus
    reason: StatusReason
    reauthorize_by: datetime | None

    @classmethod
    def of(cls, view: ConnectionView) -> "IndexEntry":
        """The entry that this view asks for."""
        return cls(status=view.status, reason=view.reason, reauthorize_by=view.reauthorize_by)

    def differs_noticeably_from(self, other: "IndexEntry") -> bool:
        """Whether the difference is worth an action: a deadline that creeps is not."""
        if (self.status, self.reason) != (other.status, other.reason):
            return True
        if self.reauthorize_by is None or other.reauthorize_by is None:
            return self.reauthorize_by is not other.reauthorize_by
        return abs(self.reauthorize_by - other.reauthorize_by) >= NOTICEABLE


class Visibility:
    """What is shown now. ``entry`` is carried when the life continues as new."""

    def __init__(self, entry: IndexEntry | None = None) -> None:
        self.entry = entry
        self._details = ""

    def show(self, view: ConnectionView) -> None:
        """The details in the web UI, in plain words."""
        details = explain(view, workflow.now()).text
        if details != self._details:
            self._details = details
            workflow.set_current_details(details)

    def index(self, view: ConnectionView) -> None:
        """The search attributes, if that is worth it."""
        entry = IndexEntry.of(view)
        if self.entry is None or entry.differs_noticeably_from(self.entry):
            self.entry = entry
            workflow.upsert_search_attributes(search_attributes(view))
