"""Gathers the evidence of a campaign, once nothing moves any more."""

import base64
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlmodel import select

from campaign.apps import BY_SLUG
from campaign.diary import Diary
from campaign.evidence import Call, Claim, Evidence, Life, seconds
from campaign.parts import Parts
from campaign.settling import Settled
from domain.outcomes import Revocation
from providers.sandbox.grants import Grant
from storage import events
from storage.database import Database
from storage.tables import ConnectionRow, CredentialsRow, EventRow, JournalRow

CANARY: Final = b"mlcanary"
SEARCHED: Final = ("postgres", "temporal.db", "temporal.db-wal", "logs")
_EXCUSES: Final = frozenset({Revocation.UNCERTAIN, Revocation.GAVE_UP, Revocation.UNSUPPORTED})


async def gather(parts: Parts, diary: Diary, settled: Settled) -> Evidence:
    """All there is, from the provider, our database, the files and the diary."""
    owners = _owners(parts.state / "sandbox" / "sandbox.sqlite3", diary)
    calls = [
        Call(
            seq=entry.seq,
            connection_id=owners.get(entry.grant_id or ""),
            endpoint=entry.endpoint,
            grant_type=entry.grant_type,
            started_at=entry.started_at,
            finished_at=entry.finished_at or float("inf"),
            presented=entry.presented,
            rotated=entry.rotated,
            error=entry.error,
            answered=entry.answered,
        )
        for entry in await parts.sandbox.log()
    ]
    living = [grant for grant in await parts.sandbox.grants() if grant.live]
    database = Database(parts.stack.database_url)
    try:
        rows = await _Rows.read(database)
    finally:
        await database.close()
    leaks, searched = search(parts.state)
    return Evidence(
        calls=calls,
        claims=rows.claims,
        lives=list(_lives(rows, diary, settled, _count(living, owners))),
        events=rows.events,
        leases=diary.leases,
        faults=diary.faults,
        leaks=leaks,
        searched=searched,
        surprises=diary.surprises,
        healed_at=diary.healed_at,
    )


@dataclass(frozen=True)
class _Rows:
    connections: list[ConnectionRow]
    generations: Mapping[UUID, int]
    claims: list[Claim]
    events: Mapping[UUID, list[EventRow]]

    @classmethod
    async def read(cls, database: Database) -> "_Rows":
        async with database.transaction() as session:
            connections = list((await session.exec(select(ConnectionRow))).all())
            credentials = (await session.exec(select(CredentialsRow))).all()
            journal = (await session.exec(select(JournalRow))).all()
            told = {row.id: await events.read(session, row.id) for row in connections}
        generations = {row.connection_id: row.generation for row in credentials}
        return cls(connections, generations, [_claim(row) for row in journal], told)


def _claim(row: JournalRow) -> Claim:
    assert row.claimed_at is not None
    return Claim(
        connection_id=row.connection_id,
        number=row.claim,
        generation=row.generation,
        kind=row.kind,
        claimed_at=row.claimed_at.timestamp(),
        finished_at=seconds(row.finished_at),
        outcome=row.outcome,
        may_have_acted=row.may_have_acted,
    )


def _lives(
    rows: _Rows, diary: Diary, settled: Settled, granted: Mapping[UUID, int]
) -> Iterator[Life]:
    known = {each.connection_id: each for each in diary.known}
    for row in rows.connections:
        ours = known[row.id]
        yield Life(
            connection_id=row.id,
            slug=row.provider_slug,
            rotation=BY_SLUG[row.provider_slug].rotation,
            status=row.status,
            reason=row.reason,
            ended_at=seconds(row.ended_at),
            generation=rows.generations[row.id],
            head=row.event_chain,
            settled=settled.open.get(row.id),
            refreshed=settled.unrefreshed.get(row.id),
            end_acked_at=ours.ended_at,
            revoke_asked=ours.revoke_asked,
            refreshes_asked=ours.refreshes_asked,
            granted=0 if _excused(row) else granted.get(row.id, 0),
        )


def _excused(row: ConnectionRow) -> bool:
    """Whether the receipt says that something may live on."""
    tokens = (row.receipt or {}).get("tokens")
    assert tokens is None or isinstance(tokens, list)
    return any(token["result"] in _EXCUSES for token in tokens or ())


def _owners(file: Path, diary: Diary) -> Mapping[str, UUID]:
    """Grant -> connection: by the codes that were exchanged, as the provider keeps them."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
        codes = store.execute("SELECT grant_id, digest FROM codes WHERE grant_id IS NOT NULL")
        return {grant: diary.codes[digest] for grant, digest in codes if digest in diary.codes}


def _count(living: list[Grant], owners: Mapping[str, UUID]) -> Mapping[UUID, int]:
    counts: defaultdict[UUID, int] = defaultdict(int)
    for grant in living:
        if grant.id in owners:
            counts[owners[grant.id]] += 1
    return counts


def search(state: Path) -> tuple[list[str], int]:
    """Files with a canary in them, and how many bytes have been looked at."""
    places = [state / name for name in SEARCHED]
    files = chain.from_iterable(place.rglob("*") if place.is_dir() else [place] for place in places)
    leaks, searched = [], 0
    for file in files:
        if not file.is_file():
            continue
        content = file.read_bytes()
        searched += len(content)
        if any(form in content for form in forms(CANARY)):
            leaks.append(str(file.relative_to(state)))
    return leaks, searched


def forms(text: bytes) -> list[bytes]:
    """A text as it is, and as it stands in base64 wherever it begins there."""
    encoded = [base64.b64encode(b" " * before + text) for before in range(3)]
    # Only the characters that depend on nothing but the text.
    inner = [
        each[-(-before * 8 // 6) : (before + len(text)) * 8 // 6]
        for before, each in enumerate(encoded)
    ]
    return [text, *inner]
