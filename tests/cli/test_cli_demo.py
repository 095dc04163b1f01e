"""``moorline demo``: the story told for real, its report, and what it leaves behind."""

from contextlib import suppress
from pathlib import Path

import pytest

from moorline.demo.judging import NotAsTold
from moorline.demo.story import NAMES
from moorline.demo.timeline import LONGEST_S, Report, Step, Timeline
from moorline.stack.claims import Claim
from tests.cli.terminal import Terminal, bare_environment

LIFE = ["pending", "active", "revoked", "active", "disconnected"]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(bare_environment(), tmp_path)


async def test_the_whole_story_holds_and_leaves_nothing_running(terminal: Terminal) -> None:
    async with terminal.running("demo", "--json") as command:
        done = await command.ended(within_s=300)
    report = Report.model_validate_json(done.out)
    assert [step.name for step in report.steps] == list(NAMES)
    assert [step for step in report.steps if not step.ok] == []
    assert report.statuses == LIFE
    assert report.ui.startswith("http://127.0.0.1:")
    assert report.ok is (report.seconds <= LONGEST_S)  # a busy machine may take longer
    assert done.code == (0 if report.ok else 1)
    assert f"{len(NAMES)} of {len(NAMES)} steps held, in " in done.err
    assert set(done.object) == {"ok", "seconds", "steps", "statuses", "ui"}
    runs = terminal.folder / ".moorline" / "demo" / "run"
    assert left_running(terminal.folder) == []
    Claim.take(runs / "moorline.lock").release()  # as the next demo does


def left_running(folder: Path) -> list[bytes]:
    """Processes that were told of this folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(file.read_bytes())
    return [line for line in found if bytes(folder) in line]


async def test_a_story_that_cannot_begin_is_reported_all_the_same(terminal: Terminal) -> None:
    (terminal.folder / ".moorline").write_text("in the way")
    done = await terminal.run("demo", "--json")
    assert done.code == 1
    report = Report.model_validate_json(done.out)
    assert not report.ok
    assert "cannot be used" in report.steps[0].detail


async def test_a_step_that_fails_makes_the_story_fail() -> None:
    async def holds() -> str:
        return "seen"

    async def fails() -> str:
        raise NotAsTold("something else was seen")

    timeline = Timeline([Step("one"), Step("two"), Step("three")])
    assert await timeline.run("one", holds)
    assert not await timeline.run("two", fails)
    report = timeline.report()
    assert not report.ok
    assert [(step.ok, step.detail) for step in report.steps] == [
        (True, "seen"),
        (False, "something else was seen"),
        (False, "not reached"),
    ]
    assert timeline.total.startswith("1 of 3 steps held, in ")


async def test_a_story_that_takes_too_long_has_not_held() -> None:
    async def holds() -> str:
        return "seen"

    timeline = Timeline([Step("one")])
    await timeline.run("one", holds)
    assert timeline.report().ok
    timeline.ended_at = timeline.began_at + LONGEST_S + 1
    assert not timeline.report().ok
    assert "longer than the 90 s it may take" in timeline.total
