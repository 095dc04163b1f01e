"""Recording adds to what running connections have lived, and takes nothing of it away."""

import shutil
from pathlib import Path

from tests.replay.recording import HISTORIES, record_missing, recorded
from tests.replay.scenarios import SCENARIOS


async def test_recording_a_new_scenario_deleted_and_rewrote_all_others(tmp_path: Path) -> None:
    """Bug: old histories, which alone show that running connections replay, were lost by it."""
    histories = tmp_path / "histories"
    shutil.copytree(HISTORIES, histories)
    missing = next(each for each in SCENARIOS if each.__name__ == "refused")
    for file in recorded(histories, missing):
        file.unlink()
    before = {file.name: file.read_bytes() for file in histories.iterdir()}
    written = await record_missing(histories)
    assert [file.name for file in written] == ["refused-1.json"]
    assert before.items() <= {file.name: file.read_bytes() for file in histories.iterdir()}.items()
    assert await record_missing(histories) == []
