"""What is finished, whoever cancels: the result may be the only copy of a token."""

import asyncio

import pytest
from temporalio import activity
from temporalio.testing import ActivityEnvironment

from activities.holding import to_the_end


@pytest.mark.parametrize("ticks", range(12))
async def test_bug_a_cancel_in_the_moment_of_the_result_took_the_result_away(ticks: int) -> None:
    @activity.defn
    async def work() -> str:
        me = asyncio.current_task()
        assert me is not None
        loop = asyncio.get_running_loop()

        def cancel_in(left: int) -> None:
            if left:
                loop.call_soon(cancel_in, left - 1)
            else:
                me.cancel()

        async def exchange() -> str:
            await asyncio.sleep(0.01)
            cancel_in(ticks)
            return "the only copy"

        return await to_the_end(exchange())

    running = asyncio.ensure_future(ActivityEnvironment().run(work))
    assert await running == "the only copy"
