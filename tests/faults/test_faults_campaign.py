"""A campaign that is broken off leaves nothing behind."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import pytest

from campaign.plan import LONGEST_FREEZE_S, draw
from tests.cli.terminal import bare_environment
from tests.world import until

WITHIN = timedelta(minutes=3)
"""A whole stack is started, perhaps on a busy machine."""
ROOT = Path(__file__).parents[2]


def processes_of(folder: Path) -> Iterator[str]:
    """Whatever runs and was started with something in this folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if str(folder).encode() in told:
                yield (process / "cmdline").read_text().replace("\0", " ")


def written(folder: Path) -> str:
    """What the campaign has written down so far."""
    return "".join(file.read_text() for file in folder.glob("*/happened.jsonl"))


def left_in(folder: Path) -> set[str]:
    (state,) = folder.iterdir()
    return {path.name for path in state.iterdir()}


@pytest.mark.parametrize("signal", [SIGINT, SIGTERM])
async def test_a_campaign_that_is_broken_off_leaves_no_process_and_no_data(
    tmp_path: Path, signal: Signals
) -> None:
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "campaign", "--minutes=5", "--connections=3"),
        *("--folder", str(tmp_path)),
        stdout=PIPE,
        stderr=PIPE,
        cwd=ROOT,
        env=bare_environment(),
        start_new_session=True,
    )

    async def has_begun() -> bool:
        assert command.returncode is None
        return "begun" in written(tmp_path)

    await until(has_begun, WITHIN)
    assert list(processes_of(tmp_path))
    os.kill(command.pid, signal)
    out, err = await asyncio.wait_for(command.communicate(), WITHIN.total_seconds())
    assert command.returncode == 130, (out, err)
    assert "Traceback" not in err.decode()
    assert list(processes_of(tmp_path)) == []
    assert left_in(tmp_path) == {"plan.json", "happened.jsonl", "logs"}


def test_the_same_seed_makes_the_same_plan_and_another_makes_another() -> None:
    assert draw(7, 180) == draw(7, 180)
    assert draw(7, 180) != draw(8, 180)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_is_over_in_time_and_does_nothing_twice_at_once(seed: int) -> None:
    plan = draw(seed, 180)
    assert any(fault.kind == "rotate keys" for fault in plan)
    until_: dict[str, float] = {}
    for fault in plan:
        assert fault.at + fault.seconds <= 180
        assert fault.seconds <= LONGEST_FREEZE_S
        for subject in fault.subjects:
            assert until_.get(subject, 0.0) <= fault.at
            until_[subject] = fault.at + fault.seconds
