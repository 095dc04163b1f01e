"""A machine that is so busy that everything takes long, with nothing wrong."""

import time

import pytest

from tests.workflow.test_unfit_messages import ends
from tests.world import World
from workflows.messages import MessageT, Nudge, heard

LONG_S = 2.5
"""Longer than the SDK lets workflow code compute at a stretch, if it is not told otherwise."""


async def test_bug_a_life_that_computed_for_two_seconds_was_taken_for_stuck_and_interrupted(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in the wrong place, it stood still until its worker was restarted."""
    view = await living.connected()
    stood_still: list[type] = []

    def heard_late(kind: type[MessageT], payload: object) -> MessageT:
        # As if a garbage collection, or another process, had taken the processor for so long.
        if kind is Nudge and not stood_still:
            time.sleep(LONG_S)
            stood_still.append(kind)
        return heard(kind, payload)

    monkeypatch.setattr("workflows.conversation.heard", heard_late)
    await living.connections.nudge(view.connection_id)
    await ends(living, view)
    assert stood_still == [Nudge]
