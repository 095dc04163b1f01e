"""Carries out the plan: every fault at its second, and undone when its time is over."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final, cast

from pydantic import JsonValue

from campaign.clocks import RIGHT
from campaign.diary import Diary, Happened
from campaign.parts import LINKS, WORKERS, Parts
from campaign.plan import SHIFT, Fault
from campaign.proxy import PASS, Mode, ModeName
from campaign.rotating import KeyRotation
from providers.sandbox.target import EndpointName

FREE_WITHIN_S: Final = 5.0
NEEDS_PART: Final = frozenset(
    {"kill", "kill between rotation and commit", "freeze", "rolling restart"}
)
HELD_WITHIN_S: Final = 6.0
"""How long a call is waited for that is to be cut by a kill."""

Deed = Callable[[Fault], Awaitable[float | None]]
"""Does it and undoes it; when something was killed, if anything was."""


class Nemesis:
    """The one who does it."""

    def __init__(self, parts: Parts, diary: Diary, keys: KeyRotation) -> None:
        self._parts = parts
        self._diary = diary
        self._keys = keys
        self._deeds: Mapping[str, Deed] = {
            "kill": self._kill,
            "kill between rotation and commit": self._kill_holding,
            "freeze": self._freeze,
            "rolling restart": self._restart,
            SHIFT: self._shift,
            "provider": self._trouble,
            "rotate keys": self._rotate,
        }

    async def carry_out(self, plan: Sequence[Fault]) -> None:
        """All of the plan; done when the last fault is over."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as faults:
            for fault in plan:
                await asyncio.sleep(max(began + fault.at - time.monotonic(), 0))
                faults.create_task(self._do(fault))

    async def _do(self, fault: Fault) -> None:
        if not await self._can_be_done(fault):
            self._diary.left_out[fault.kind] += 1
            self._diary.write("fault is left out", **vars(fault))
            return
        self._diary.write("fault", **vars(fault))
        began = time.time()
        killed_at = await self._deeds.get(fault.kind, self._damage)(fault)
        self._diary.happened(Happened(fault.kind, fault.target, began, time.time(), killed_at))

    async def _can_be_done(self, fault: Fault) -> bool:
        if fault.kind == SHIFT:
            return fault.target in self._parts.clocks
        return fault.kind not in NEEDS_PART or await self._is_free(fault)

    async def _is_free(self, fault: Fault) -> bool:
        """Whether its part is free, soon: on a slow machine faults must not pile up."""
        give_up_at = time.monotonic() + FREE_WITHIN_S
        while self._parts.is_busy(fault.subjects):
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(0.1)
        return True

    async def _kill(self, fault: Fault) -> float:
        async with self._parts.holding(fault.target):
            self._parts.kill(fault.target)
            killed_at = time.time()
            await asyncio.sleep(fault.seconds)
            await self._parts.restart(fault.target)
        return killed_at

    async def _kill_holding(self, fault: Fault) -> float:
        """The provider has rotated, its answer is on the way, and nobody is left to take it."""
        async with AsyncExitStack() as held:
            for worker in WORKERS:
                await held.enter_async_context(self._parts.holding(worker))
            app = str(fault.detail["app"])
            planted = await self._parts.sandbox.plant(
                "token",
                "delay",
                seconds=60,
                when="after_acting",
                grant_type="refresh_token",
                client_id=app,
            )
            await self._until_held(app)
            for worker in WORKERS:
                self._parts.kill(worker)
            killed_at = time.time()
            await self._parts.sandbox.clear(planted)
            await asyncio.gather(*(self._parts.restart(worker) for worker in WORKERS))
        return killed_at

    async def _until_held(self, app: str) -> None:
        last = max((call.seq for call in await self._parts.sandbox.log()), default=0)
        give_up_at = time.monotonic() + HELD_WITHIN_S
        while time.monotonic() < give_up_at:
            for call in await self._parts.sandbox.log(last, endpoint="token"):
                if call.client_id == app and call.acted and not call.answered:
                    return
            await asyncio.sleep(0.05)

    async def _freeze(self, fault: Fault) -> None:
        async with self._parts.holding(fault.target):
            self._parts.freeze(fault.target)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                self._parts.thaw(fault.target)

    async def _restart(self, _: Fault) -> None:
        for worker in WORKERS:
            async with self._parts.holding(worker):
                await self._parts.restart(worker)

    async def _shift(self, fault: Fault) -> None:
        clock, by = self._parts.clocks[fault.target], fault.detail["by"]
        assert isinstance(by, int)
        clock.shift(timedelta(seconds=by))
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            clock.shift(RIGHT)

    async def _trouble(self, fault: Fault) -> None:
        detail = dict(fault.detail)
        endpoint = cast("EndpointName", detail.pop("endpoint"))
        kind = str(detail.pop("kind"))
        planted = await self._parts.sandbox.plant(endpoint, kind, client_id=fault.target, **detail)
        await asyncio.sleep(fault.seconds)
        await self._parts.sandbox.clear(planted)

    async def _rotate(self, _: Fault) -> None:
        await self._keys.rotate()

    async def _damage(self, fault: Fault) -> None:
        lines = [self._parts.lines[name] for name in LINKS.get(fault.target, (fault.target,))]
        for line in lines:
            await line.become(_mode(fault.kind, fault.detail))
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            for line in lines:
                await line.become(PASS)


def _mode(name: str, detail: Mapping[str, JsonValue]) -> Mode:
    amount, seconds = detail.get("amount", 0), detail.get("seconds", 0.0)
    assert isinstance(amount, int)
    assert isinstance(seconds, int | float)
    return Mode(cast("ModeName", name), amount, float(seconds))
