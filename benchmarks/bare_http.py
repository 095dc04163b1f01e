"""The least that could answer over HTTP: uvicorn, and one select by key with the bare driver.

``python -m benchmarks.bare_http PORT``, with the database in ``MOORLINE_DATABASE_URL``.
"""

import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import asyncpg
import uvicorn

Message = MutableMapping[str, Any]
POOL: dict[str, asyncpg.Pool] = {}


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer any request with the generation of the connection that its path names."""
    if scope["type"] == "lifespan":
        await receive()
        url = os.environ["MOORLINE_DATABASE_URL"].replace("+asyncpg", "")
        POOL["all"] = await asyncpg.create_pool(url, min_size=10, max_size=10)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await POOL["all"].close()
        await send({"type": "lifespan.shutdown.complete"})
        return
    query = "SELECT * FROM credentials WHERE connection_id = $1"
    row = await POOL["all"].fetchrow(query, scope["path"].strip("/"))
    body = b'{"generation": %d}' % (row["generation"] if row else 0)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
