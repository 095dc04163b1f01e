"""What can go wrong at a provider: one class for each kind of fault, with what it does to a call.

A fault strikes before the sandbox acts on a call or after (`when`), and that is the whole
difference between "nothing happened" and "rotated, but the answer is lost". Which call it strikes
is for `planting` to say. The kinds are explained to their users in `control`.
"""

import asyncio
import json
from abc import abstractmethod
from collections.abc import Callable
from string import Template
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from .answers import Answer
from .target import Target
from .wire import Wire

Act = Callable[[], Answer]
HeaderText = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")]
Status = Annotated[int, Field(ge=200, le=599)]


class Fault(Target):
    """What every kind has in common."""

    times: Annotated[int, Field(ge=1)] | None = 1
    """How many calls it strikes; None = until it is cleared."""
    when: Literal["before_acting", "after_acting"] = "before_acting"

    @abstractmethod
    async def strike(self, wire: Wire, act: Act, released: asyncio.Event) -> bool:
        """Treat the call in this fault's way; say whether a whole answer was handed over.

        `act` acts, or where that has been done tells the answer; `released`: the fault is cleared.
        """


class Instead(Fault):
    """A fault that answers in the sandbox's place."""

    async def strike(self, wire: Wire, act: Act, released: asyncio.Event) -> bool:  # noqa: ARG002
        return await wire.send(self.answer().response())

    @abstractmethod
    def answer(self) -> Answer: ...


class StatusFault(Instead):
    kind: Literal["status"]
    status: Status
    body: JsonValue = None
    headers: dict[HeaderText, HeaderText] = Field(default_factory=dict)

    def answer(self) -> Answer:
        if self.body is None or isinstance(self.body, str):
            return Answer(self.status, raw=self.body, media_type="text/plain", headers=self.headers)
        return Answer(self.status, raw=json.dumps(self.body), headers=self.headers)


class RateLimitFault(Instead):
    kind: Literal["rate_limit"]
    retry_after: HeaderText | None = None

    def answer(self) -> Answer:
        headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
        return Answer(429, raw="Too many requests", media_type="text/plain", headers=headers)


class RedirectFault(Instead):
    kind: Literal["redirect"]
    location: HeaderText
    status: Literal[301, 302, 303, 307, 308] = 307

    def answer(self) -> Answer:
        return Answer(self.status, headers={"Location": self.location})


class HtmlFault(Instead):
    kind: Literal["html"]
    status: Status = 403

    def answer(self) -> Answer:
        page = (
            "<!doctype html><html lang=en><title>Request blocked</title>"
            "<h1>Request blocked</h1><p>The proxy in between says no.</p></html>"
        )
        return Answer(self.status, raw=page, media_type="text/html")


class DelayFault(Fault):
    kind: Literal["delay"]
    seconds: Annotated[float, Field(ge=0, le=3600)]

    async def strike(self, wire: Wire, act: Act, released: asyncio.Event) -> bool:
        # A slow server does not notice that its client gave up: before acting, it still acts.
        before = self.when == "before_acting"
        if not await wire.hold(released, self.seconds, even_if_gone=before):
            return await wire.drop()
        return await wire.send(act().response())


class HangFault(Fault):
    kind: Literal["hang"]

    async def strike(self, wire: Wire, act: Act, released: asyncio.Event) -> bool:
        if not await wire.hold(released, None):
            return await wire.drop()
        return await wire.send(act().response())


class DropFault(Fault):
    kind: Literal["drop"]
    reset: bool = False

    async def strike(self, wire: Wire, act: Act, released: asyncio.Event) -> bool:  # noqa: ARG002
        return await wire.drop(reset=self.reset)


class TruncateFault(Fault):
    kind: Literal["truncate"]

    async def strike(self, wire: Wire, act: Act, released: asyncio.Event) -> bool:  # noqa: ARG002
        answer = act()
        return await wire.truncate((answer if answer.body else Answer(payload={})).response())


class AnswerFault(Fault):
    kind: Literal["answer"]
    patch: dict[str, JsonValue] = Field(default_factory=dict)
    raw: str | None = None
    media_type: HeaderText = "application/json"

    async def strike(self, wire: Wire, act: Act, released: asyncio.Event) -> bool:  # noqa: ARG002
        answer = act().patched(self.patch)
        if self.raw is not None:
            text = Template(self.raw).safe_substitute(answer.payload or {})
            answer = Answer(answer.status, raw=text, media_type=self.media_type)
        return await wire.send(answer.response())


AnyFault = Annotated[
    StatusFault
    | RateLimitFault
    | RedirectFault
    | HtmlFault
    | DelayFault
    | HangFault
    | DropFault
    | TruncateFault
    | AnswerFault,
    Field(discriminator="kind"),
]
any_fault: TypeAdapter[AnyFault] = TypeAdapter(AnyFault)
