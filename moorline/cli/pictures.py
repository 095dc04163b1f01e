"""Connections as tables and cards for people. Text only: nothing is read or decided here."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from domain.outcomes import Revocation
from domain.status import ConnectionStatus
from domain.view import Attempt, ConnectionView, Receipt, Syncing, TokenReceipt
from domain.words import GIVEN, WHY, instant, why
from moorline.cli.output import line, status_text

if TYPE_CHECKING:
    from storage.tables import EventRow

MARGIN = 14
ALIKE = frozenset({"provider_id", "provider_slug"})
FATES = {
    Revocation.UNSUPPORTED: ": the provider cannot revoke it",
    Revocation.GAVE_UP: ": the provider has not confirmed it within a day",
    Revocation.UNCERTAIN: ": there may be one that never reached us",
}
LEFT_TO_USERS = {
    "api_key": ": the key works until its user deletes it at the provider",
    "link_token": ": the token works until its user takes it back at the provider",
    "certificate": ": the certificate works until it ends, or its issuer revokes it",
}
UNITS = (("years", 31_556_952), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def table_of(views: Sequence[ConnectionView]) -> Table:
    """Connections, a row each."""
    headings = ("ID", "ALIAS", "PROVIDER", "STATUS", "REASON", "ACCESS TOKEN", "")
    rows = (
        (
            str(view.connection_id),
            view.alias or "-",
            view.provider_slug,
            status_text(view.status),
            view.reason.value,
            _token(view) or "-",
            Text(_marks(view), "yellow"),
        )
        for view in views
    )
    return table(headings, rows, whole=("ID", "STATUS", "REASON"))


def stacked(views: Sequence[ConnectionView]) -> Text:
    """The same where a row does not fit: two lines each, and no word is cut."""
    return Text("\n").join(part for view in views for part in _stacked(view))


def card_of(view: ConnectionView) -> Text:
    """One connection, a line for each thing there is to know."""
    return lines_of(_lines(view))


def lines_of(named: Iterable[tuple[str, Text | str]], margin: int = MARGIN) -> Text:
    """A line for each, its name in the margin."""
    lines = (Text.assemble((f"{name:<{margin}}", "dim"), value) for name, value in named)
    return Text("\n").join(lines)


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    right: Collection[str] = (),
    whole: Collection[str] = (),
) -> Table:
    """Rows under headings. Whatever stands in a cell is shown as it is, never read as markup.

    Args:
        right: columns of numbers.
        whole: columns whose words are not cut where space is short.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(
            heading,
            overflow="fold",
            justify="right" if heading in right else "left",
            no_wrap=heading in right or heading in whole,
        )
    for row in rows:
        made.add_row(*(Text(line(cell)) if isinstance(cell, str) else cell for cell in row))
    return made


def event_line(row: "EventRow") -> str:
    """One event: when, what, and what it says that others of the connection do not."""
    said = [f"{name}: {value}" for name, value in row.data.items() if name not in ALIKE]
    return line(f"{instant(row.occurred_at)}  {row.type}  {', '.join(said)}").rstrip()


def receipt_of(receipt: Receipt) -> str:
    """What was revoked where, in a line for each token."""
    lines = [f"  {token.token}: {_fate(token)}" for token in receipt.tokens]
    held = "\n".join(lines) or "  nothing was held"
    here = "all secrets are destroyed" if receipt.shredded else "secrets are still kept"
    return f"At the provider:\n{held}\nHere: {here}."


def _fate(token: TokenReceipt) -> str:
    said = FATES.get(token.result, "")
    if token.result is Revocation.UNSUPPORTED:
        said = LEFT_TO_USERS.get(token.token, said)
    dies = f"; it dies by itself {instant(token.dies_at)}" if token.dies_at else ""
    return f"{token.result.value}{said}{dies}"


def distance(at: datetime, now: datetime | None = None) -> str:
    """An instant as people think of it: `in 54 min`, `3 d ago`."""
    left = at - (now or datetime.now(UTC))
    return f"in {length(left)}" if left >= timedelta(0) else f"{length(-left)} ago"


def length(duration: timedelta) -> str:
    """A duration in its largest fitting unit."""
    seconds = round(duration.total_seconds())
    for unit, size in UNITS:
        if seconds >= 2 * size or size == 1:
            return f"{seconds // size} {unit}"
    raise AssertionError  # the last unit always fits


def _stacked(view: ConnectionView) -> Iterator[Text]:
    yield Text.assemble(f"{view.connection_id}  ", status_text(view.status), f"  {view.reason}")
    said = [line(view.alias)] if view.alias else []
    said += [line(view.provider_slug), *filter(None, (_token(view), _marks(view)))]
    yield Text("  " + ", ".join(said), "dim")


def _lines(view: ConnectionView) -> Iterator[tuple[str, Text | str]]:
    yield "connection", str(view.connection_id)
    yield "alias", line(view.alias or "-")
    yield "provider", line(view.provider_slug)
    yield "user", str(view.user_id)
    since = f" since {instant(view.since)}: {why(view.reason, view.credential_type)}"
    yield "status", Text.assemble(status_text(view.status), since)
    if marks := _marks(view):
        yield "", Text(marks, "yellow")
    if view.status is ConnectionStatus.ACTIVE:
        token = GIVEN.get(view.credential_type, "access token")
        yield token, f"generation {view.generation}, {_token(view) or 'no known end'}"
    if view.reauthorize_by:
        yield "authorize by", instant(view.reauthorize_by)
    if view.sync:
        yield "data", _reading(view.sync)
    if view.attempt:
        yield "last attempt", _attempt(view.attempt)
    if view.receipt:
        yield "receipt", receipt_of(view.receipt).replace("\n", "\n" + " " * MARGIN)
    if view.connected_at:
        yield "connected", instant(view.connected_at)
    yield "created", instant(view.created_at)


def _reading(sync: Syncing) -> str:
    """How reading its data goes."""
    said = [f"read {distance(sync.last_at)}" if sync.last_at else "not read yet"]
    if sync.failing_since is not None:
        said.append(f"failing since {instant(sync.failing_since)} ({sync.outcome.value})")
    if sync.next_at is not None:
        said.append(f"next {distance(sync.next_at)}")
    return ", ".join(said)


def _attempt(attempt: Attempt) -> str:
    if attempt.reason:
        return f"{attempt.status}: {WHY[attempt.reason]}"
    if attempt.status == "pending":
        return f"pending, until {instant(attempt.expires_at)}"
    return attempt.status


def _token(view: ConnectionView) -> str:
    said = []
    if view.expires_at:
        tense = "ends" if view.expires_at > datetime.now(UTC) else "ended"
        said.append(f"{tense} {distance(view.expires_at)}")
    if view.refresh_at:
        what = "verified" if view.credential_type.is_given else "refresh"
        said.append(f"{what} {distance(view.refresh_at)}")
    return ", ".join(said)


def _marks(view: ConnectionView) -> str:
    marks = []
    if view.ending:
        marks.append("ending")
    if view.trouble:
        marks.append(f"degraded ({view.trouble.cause.value})")
    if view.sync and view.sync.failing_since:
        marks.append(f"data not read ({view.sync.outcome.value})")
    return ", ".join(marks)
