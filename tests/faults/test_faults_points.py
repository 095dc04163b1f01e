"""The points of the sweep are armed: each place is there, each has its fates, and it kills.

The sweep itself is ``make faults``.
"""

import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from campaign.drives import DRIVES
from campaign.places import Place
from campaign.points import POINTS, Operation, Point
from campaign.scene import NotReached, Scene
from tests.cli.terminal import bare_environment
from tests.world import World

REWRAPPING = Place.parse("before storage.data_keys:rewrap_batch")


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.title)
def test_the_function_that_a_place_names_is_there(point: Point) -> None:
    point.place.resolve()


def test_no_two_points_are_the_same() -> None:
    assert len({point.title for point in POINTS}) == len(POINTS)
    assert len({(point.operation, point.place) for point in POINTS}) == len(POINTS)


@pytest.mark.parametrize("operation", Operation)
def test_an_operation_has_points_and_a_drive(operation: Operation) -> None:
    assert operation in DRIVES
    assert any(point.operation is operation for point in POINTS)


@pytest.mark.parametrize(
    "name", ["storage.claims:seize", "storage.claimants:take", "activities.refresh:take"]
)
def test_a_place_where_no_function_is_defined_is_refused(name: str) -> None:
    with pytest.raises(LookupError):
        Place.parse(f"before {name}").resolve()


@pytest.mark.parametrize("text", ["storage.claims:take", "before storage.claims", "after a:b #0"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a place"):
        Place.parse(text)


@pytest.mark.parametrize("place", [point.place for point in POINTS], ids=str)
def test_a_place_is_read_as_it_is_written(place: Place) -> None:
    assert Place.parse(str(place)) == place


async def test_a_process_kills_itself_at_its_place(world: World) -> None:
    scene = Scene.of(world, REWRAPPING)
    scene.arm()
    async with scene.doomed("keys", "rewrap") as running:
        await scene.dies(running)


async def test_a_process_that_survives_its_place_is_no_proof(world: World) -> None:
    scene = Scene.of(world, Place.parse("after storage.data_keys:rewrap_batch #2"))
    scene.arm()
    async with scene.doomed("keys", "rewrap") as running:
        with pytest.raises(NotReached, match="it ended with 0"):
            await scene.dies(running)


async def test_until_a_place_is_armed_it_is_harmless(world: World) -> None:
    async with Scene.of(world, REWRAPPING).doomed("keys", "rewrap") as running:
        assert (await running.ended()).code == 0


async def test_a_process_does_not_run_where_its_place_is_gone(tmp_path: Path) -> None:
    words = ("--at", "before storage.claims:seize", "--armed", str(tmp_path / "armed"), "--version")
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "campaign.doomed", *words),
        env=bare_environment(),
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 1
    assert b"there is no storage.claims:seize" in err
    assert out == b""
