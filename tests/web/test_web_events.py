"""The events of connections, by pages and as a stream: all of them, in order, each once."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import QueuePool
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import ProviderConnectionFailed
from domain.status import ConnectionStatus
from gateway import events as gateway_events
from storage import api_keys, events
from storage.database import now
from tests.web.gateway import Web, gateway_of
from tests.world import WITHIN, World, until

FEED, STREAM = "/v1/events", "/v1/events/stream"


@dataclass
class Told:
    """One event of a stream, as it stands there."""

    cursor: str
    type: str
    data: dict[str, str]

    @property
    def id(self) -> str:
        return self.data["id"]


class Stream:
    """What a reader of server-sent events makes of an answer."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.last_id = ""
        self.comments = 0
        self._lines = answer.aiter_lines()

    async def events(self) -> AsyncIterator[Told]:
        """Events, until the stream ends; blocks without data only move ``last_id``."""
        async for block in self.blocks():
            if "data" in block:
                yield Told(self.last_id, block["event"], json.loads(block["data"]))

    async def blocks(self) -> AsyncIterator[dict[str, str]]:
        block: dict[str, str] = {}
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if (line and not name) or line.startswith(":"):
                self.comments += 1
            elif line:
                block[name] = value
            else:
                self.last_id = block.get("id", self.last_id)
                yield block
                block = {}

    async def take(self, number: int) -> list[Told]:
        taken: list[Told] = []
        async with asyncio.timeout(WITHIN.total_seconds()):
            while len(taken) < number:
                taken.append(await anext(self._events))
        return taken

    async def begin(self) -> None:
        """Up to the first block, which says from where on events are told."""
        self._events = self.events()
        async with asyncio.timeout(WITHIN.total_seconds()):
            assert "data" not in await anext(self.blocks())

    async def ends(self) -> None:
        """Until the server has ended it, as it should be ended."""
        async with asyncio.timeout(WITHIN.total_seconds()):
            async for _ in self._events:
                pass


@asynccontextmanager
async def streaming(
    client: httpx.AsyncClient, last_event_id: str | None = None, **query: str
) -> AsyncIterator[Stream]:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    async with client.stream("GET", STREAM, headers=headers, params=query) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = Stream(answer)
        await stream.begin()
        yield stream


async def write(session: AsyncSession, world: World, connection_id: UUID | None = None) -> UUID:
    """An event, in a transaction that may take its time; its id."""
    event = ProviderConnectionFailed(
        user_id=world.user_id, provider_id=uuid4(), provider_slug="x", reason="of a test"
    )
    await events.append_without_connection(
        session, connection_id or uuid4(), world.user_id, event, str(uuid4())
    )
    await session.flush()
    return event.event_id


async def happen(world: World, number: int = 1, connection_id: UUID | None = None) -> list[str]:
    """So many events, one after the other; their ids."""
    ids = []
    for _ in range(number):
        async with world.database.transaction() as session:
            ids.append(str(await write(session, world, connection_id)))
    return ids


async def every(client: httpx.AsyncClient, **query: str | int) -> list[dict[str, str]]:
    """All there are, page by page."""
    found: list[dict[str, str]] = []
    after: dict[str, str] = {}
    while True:
        answer = await client.get(FEED, params={**query, **after})
        assert answer.status_code == 200
        page = answer.json()
        if not page["items"]:
            return found
        assert len(page["items"]) <= int(query.get("limit", 100))
        found += page["items"]
        after = {"after": page["next_cursor"]}


async def all_of(web: Web, ids: Sequence[str]) -> None:
    """Until the feed tells all of these, in this order: a stranger's transaction may be on."""

    async def fact() -> bool:
        return [item["id"] for item in await every(web.app)] == list(ids)

    await until(fact)


async def test_the_feed_tells_what_happened_to_a_connection_in_order_without_gaps(
    web: Web,
) -> None:
    view = await web.world.connected()
    await web.world.connections.revoke(view.connection_id)
    await web.world.becomes(view.connection_id, ConnectionStatus.REVOKED)
    rows = await web.world.connections.events(view.connection_id)

    async def fact() -> list[dict[str, str]] | None:
        found = await every(web.app, connection_id=str(view.connection_id), limit=1)
        return found if len(found) >= len(rows) else None

    found = await until(fact)
    assert [int(item["seq"]) for item in found] == list(range(1, len(found) + 1))
    assert [item["type"] for item in found[: len(rows)]] == [row.type for row in rows]
    assert {item["user_id"] for item in found} == {str(web.world.user_id)}


async def test_pages_of_any_size_hold_the_same_events(web_without_worker: Web) -> None:
    web = web_without_worker
    ids = await happen(web.world, 25)
    await all_of(web, ids)
    for limit in (1, 5, 7, 25, 500):
        assert [item["id"] for item in await every(web.app, limit=limit)] == ids


async def test_the_cursor_of_an_empty_page_goes_on_with_what_comes_then(
    web_without_worker: Web,
) -> None:
    web = web_without_worker
    page = (await web.app.get(FEED)).json()
    assert page["items"] == []
    ids = await happen(web.world, 2)

    async def fact() -> list[str] | None:
        later = (await web.app.get(FEED, params={"after": page["next_cursor"]})).json()
        return [item["id"] for item in later["items"]] or None

    assert (await until(fact))[0] == ids[0]
    await all_of(web, ids)


async def test_events_are_told_of_one_user_or_one_connection_only(web_without_worker: Web) -> None:
    web, one = web_without_worker, uuid4()
    others = await happen(web.world, 3)
    ids = await happen(web.world, 2, one)
    await all_of(web, others + ids)
    of_one = await every(web.app, connection_id=str(one))
    assert [item["id"] for item in of_one] == ids
    assert len(await every(web.app, user_id=str(web.world.user_id))) == 5
    assert await every(web.app, user_id=str(uuid4())) == []


async def test_an_event_whose_transaction_commits_late_is_not_skipped(
    web_without_worker: Web,
) -> None:
    web = web_without_worker
    async with streaming(web.app) as stream:
        async with web.world.database.transaction() as slow:
            first = str(await write(slow, web.world))
            (second,) = await happen(web.world)
            page = (await web.app.get(FEED)).json()
            assert page["items"] == [], "the second would hide the first"
        told = await stream.take(2)
        assert [each.id for each in told] == [first, second]
    later = (await web.app.get(FEED, params={"after": page["next_cursor"]})).json()
    assert [item["id"] for item in later["items"]] == [first, second]


async def test_a_stream_tells_of_a_change_as_it_happens(web: Web) -> None:
    async with streaming(web.app) as stream:
        view = await web.world.connected()
        (told,) = await stream.take(1)
        rows = await web.world.connections.events(view.connection_id)
        assert told.id == str(rows[0].event_id)
        assert told.type == rows[0].type == told.data["type"]
        assert told.data["connection_id"] == str(view.connection_id)
        rest = await stream.take(len(rows) - 1)
        assert [each.type for each in rest] == [row.type for row in rows[1:]]


async def test_a_stream_begins_now_and_says_where_that_is(web_without_worker: Web) -> None:
    web = web_without_worker
    before = await happen(web.world, 3)
    await all_of(web, before)
    async with streaming(web.app) as stream:
        begun = stream.last_id
    meanwhile = await happen(web.world, 2)
    async with streaming(web.app, begun) as stream:
        assert [each.id for each in await stream.take(2)] == meanwhile


async def test_a_stream_goes_on_after_a_reconnect_with_nothing_lost_and_nothing_twice(
    web_without_worker: Web,
) -> None:
    web, told = web_without_worker, list[str]()
    cursor, ids = "0-0", await happen(web.world, 7)
    for number in (1, 2, 4):
        async with streaming(web.app, cursor) as stream:
            taken = await stream.take(number)
            told += [each.id for each in taken]
            cursor = taken[-1].cursor
    ids += await happen(web.world, 3)
    async with streaming(web.app, cursor) as stream:
        told += [each.id for each in await stream.take(3)]
    assert told == ids
    feed = (await web.app.get(FEED, params={"after": cursor})).json()
    assert [item["id"] for item in feed["items"]] == ids[-3:], "one cursor for both"


async def test_where_a_reader_was_last_outweighs_where_it_began(web_without_worker: Web) -> None:
    web = web_without_worker
    ids = await happen(web.world, 3)
    async with streaming(web.app, after="0-0") as stream:
        (first, second) = await stream.take(2)
        assert [first.id, second.id] == ids[:2]
    async with streaming(web.app, second.cursor, after="0-0") as stream:
        assert [each.id for each in await stream.take(1)] == ids[2:]


async def test_a_stream_of_one_connection_tells_nothing_of_others(web_without_worker: Web) -> None:
    web, one = web_without_worker, uuid4()
    async with streaming(web.app, connection_id=str(one)) as stream:
        await happen(web.world, 2)
        ids = await happen(web.world, 1, one)
        assert [each.id for each in await stream.take(1)] == ids


async def test_more_events_than_one_look_finds_are_told_at_once(
    web_without_worker: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_events, "AT_ONCE", 3)
    monkeypatch.setattr(gateway_events, "PAUSE_S", 3600)
    web = web_without_worker
    ids = await happen(web.world, 9)
    await all_of(web, ids)
    async with streaming(web.app, "0-0") as stream:
        assert [each.id for each in await stream.take(9)] == ids


async def test_a_stream_says_that_it_is_alive_and_how_far_it_has_come(
    web_without_worker: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_events, "KEEP_ALIVE_S", 0)
    web = web_without_worker
    async with streaming(web.app, connection_id=str(uuid4())) as stream:
        begun = stream.last_id
        await happen(web.world)
        async with asyncio.timeout(WITHIN.total_seconds()):
            async for _ in stream.blocks():
                if stream.last_id != begun:
                    break
        assert stream.comments > 0


async def test_a_stream_outlives_an_outage_of_the_database(web_without_worker: Web) -> None:
    web = web_without_worker
    async with streaming(web.app) as stream:
        async with web.world.without_database():
            answer = await web.app.get(FEED)
            assert answer.status_code == 503
        ids = await happen(web.world)
        assert [each.id for each in await stream.take(1)] == ids


async def test_a_stream_ends_when_its_key_is_revoked(web_without_worker: Web) -> None:
    web = web_without_worker
    key = web.app.headers["authorization"].split("_")[1]
    async with streaming(web.app) as stream:
        async with web.world.database.transaction() as session:
            await api_keys.revoke(session, key, await now(session))
        await stream.ends()
    assert (await web.app.get(STREAM)).status_code == 401


async def test_nothing_is_left_of_streams_whose_readers_have_gone(
    web_without_worker: Web,
) -> None:
    web, pool = web_without_worker, web_without_worker.world.database.engine.pool
    async with AsyncExitStack() as opened:
        for _ in range(25):  # more than the pool holds
            await opened.enter_async_context(streaming(web.app))
        ids = await happen(web.world)
        assert len(answering()) >= 25

    async def fact() -> bool:
        assert isinstance(pool, QueuePool)
        return not answering() and pool.checkedout() == 0

    await until(fact)
    await all_of(web, ids)


def answering() -> list[str]:
    """Requests that a server of this process is at."""
    running = [repr(task.get_coro()) for task in asyncio.all_tasks()]
    return [each for each in running if "run_asgi" in each]


async def test_a_server_that_stops_ends_its_streams_as_they_should_end(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        async with gateway_of(world) as web:
            client.base_url, client.headers = web.app.base_url, web.app.headers
            opened = client.stream("GET", STREAM)
            stream = Stream(await opened.__aenter__())
            await stream.begin()
        # One that was cut off would raise here: its last chunk would be missing.
        await stream.ends()
    assert "graceful shutdown exceeded" not in caplog.text


@pytest.mark.parametrize("path", [FEED, STREAM])
async def test_each_route_lets_in_only_keys_of_applications_and_operators(
    web_without_worker: Web, path: str
) -> None:
    web = web_without_worker
    for client, status in (
        (web.anyone, 401),
        (web.lease, 403),
        (web.metrics, 403),
        (web.app, 422),
        (web.admin, 422),
    ):
        answer = await client.get(path, params={"after": "x"})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", [FEED, STREAM])
@pytest.mark.parametrize(
    "cursor",
    ["", "x", "1", "1-", "-1-1", "1-1-1", f"{1 << 64}-1", f"1-{1 << 63}", "\u0661-\u0661", "1-1\n"],
)
async def test_a_cursor_that_cannot_be_read_is_a_problem(
    web_without_worker: Web, path: str, cursor: str
) -> None:
    answer = await web_without_worker.app.get(path, params={"after": cursor})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:moorline:problem:invalid-input"


async def test_the_highest_of_cursors_is_one(web_without_worker: Web) -> None:
    cursor = f"{(1 << 64) - 1}-{(1 << 63) - 1}"
    answer = await web_without_worker.app.get(FEED, params={"after": cursor})
    assert answer.json() == {"items": [], "next_cursor": cursor}


async def test_a_last_event_id_that_cannot_be_read_is_a_problem(web_without_worker: Web) -> None:
    answer = await web_without_worker.app.get(STREAM, headers={"Last-Event-ID": "yesterday"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_gateway_serves_no_more_streams_than_it_can(web_without_worker: Web) -> None:
    web = web_without_worker
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=None)
        many = httpx.AsyncClient(
            base_url=web.app.base_url,
            headers=web.app.headers,
            trust_env=False,
            limits=limits,
            timeout=60,
        )
        await stack.enter_async_context(many)
        first = AsyncExitStack()
        await first.enter_async_context(streaming(many))
        for _ in range(gateway_events.MOST_STREAMS - 1):
            await stack.enter_async_context(streaming(many))
        refused = await many.get(STREAM)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "10"
        await first.aclose()

        async def is_let_in() -> bool:
            async with many.stream("GET", STREAM) as answer:
                return answer.status_code == 200

        await until(is_let_in)


async def test_of_many_streams_that_begin_at_once_no_more_are_served_either(
    web_without_worker: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All were let in that came before the first had begun."""
    monkeypatch.setattr(gateway_events, "MOST_STREAMS", 3)
    begun: list[int] = []
    all_have = asyncio.Event()

    async def read() -> None:
        async with web_without_worker.app.stream("GET", STREAM) as answer:
            begun.append(answer.status_code)
            if len(begun) == 20:
                all_have.set()
            await all_have.wait()

    await asyncio.gather(*(read() for _ in range(20)))
    assert sorted(begun) == [200] * 3 + [503] * 17
