"""The sandbox's memory: one SQLite file that survives `kill -9`, or none at all for a test.

Only digests of tokens, codes, secrets and session ids may be handed to it; it knows nothing of
OAuth and decides nothing. Statements run on the event loop itself, each well under a millisecond,
so that a transaction has no await inside and nothing can interleave with it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

Value = str | int | float | bool | None

SCHEMA = """
CREATE TABLE IF NOT EXISTS clients (
    client_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_digest TEXT,
    redirect_uris TEXT NOT NULL,
    behaviour TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS sessions (
    digest TEXT PRIMARY KEY,
    user TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS codes (
    digest TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    user TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires_at REAL NOT NULL,
    grant_id TEXT
);
CREATE TABLE IF NOT EXISTS grants (
    id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    user TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at REAL NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    refreshes INTEGER NOT NULL DEFAULT 0,
    refreshed_at REAL,
    revoked_by TEXT,
    revoked_at REAL
);
CREATE TABLE IF NOT EXISTS tokens (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    grant_id TEXT NOT NULL REFERENCES grants (id),
    generation INTEGER NOT NULL,
    parent INTEGER,
    scope TEXT NOT NULL,
    issued_at REAL NOT NULL,
    expires_at REAL,
    superseded_at REAL,
    revoked_at REAL
);
CREATE INDEX IF NOT EXISTS tokens_of_grant ON tokens (grant_id, kind, parent);
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    revoked_at REAL
);
CREATE TABLE IF NOT EXISTS lives (
    user TEXT PRIMARY KEY,
    seen_at REAL NOT NULL,
    hours INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS transactions (
    account_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    booked_at REAL NOT NULL,
    amount INTEGER NOT NULL,
    description TEXT NOT NULL,
    PRIMARY KEY (account_id, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT NOT NULL,
    grant_type TEXT,
    client_id TEXT,
    grant_id TEXT,
    started_at REAL NOT NULL,
    finished_at REAL,
    presented TEXT,
    acted INTEGER NOT NULL DEFAULT 0,
    rotated INTEGER NOT NULL DEFAULT 0,
    issued_generation INTEGER,
    status INTEGER,
    error TEXT,
    fault TEXT,
    answered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS log_of_grant ON log (grant_id);
"""


class Store:
    """One SQLite connection in autocommit, with explicit transactions."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = ":memory:" if folder is None else str(folder / "sandbox.sqlite3")
        self._connection = sqlite3.connect(place, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode NORMAL keeps every commit over a killed process, which is what we promise.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, readable by nobody halfway."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def run(self, sql: str, *values: Value) -> int:
        """Execute one statement; answers the row id of an INSERT."""
        return self._connection.execute(sql, values).lastrowid or 0

    def many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        """Execute one statement for each row."""
        self._connection.executemany(sql, rows)

    def one(self, sql: str, *values: Value) -> dict[str, Value] | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return None if row is None else dict(row)

    def all(self, sql: str, values: Sequence[Value] = ()) -> list[dict[str, Value]]:
        """Every row."""
        return [dict(row) for row in self._connection.execute(sql, values)]

    def close(self) -> None:
        self._connection.close()
