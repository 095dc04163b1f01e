"""Every recorded life replays: an edit that would break running connections fails here first."""

import base64
import json
import re
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from moorline.assembly import workflow_runner
from tests.replay.recording import HISTORIES
from tests.replay.scenarios import SCENARIOS
from workflows.connection import ConnectionWorkflow

FILES = sorted(HISTORIES.glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_recorded_life_replays(file: Path) -> None:
    replayer = Replayer(
        workflows=[ConnectionWorkflow],
        workflow_runner=workflow_runner(),
        data_converter=pydantic_data_converter,
    )
    await replayer.replay_workflow(read(file))


def read(file: Path) -> WorkflowHistory:
    recorded = json.loads(file.read_text())
    began = recorded["events"][0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(began["workflowId"], recorded)


def test_every_scenario_has_been_recorded() -> None:
    recorded = {re.sub(r"-\d+$", "", file.stem) for file in FILES}
    assert recorded == {scenario.__name__ for scenario in SCENARIOS}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_life_holds_no_secret(file: Path) -> None:
    text = file.read_text()
    payloads = re.findall(r'"data":"([A-Za-z0-9+/=]+)"', text)
    opened = b"\n".join(base64.b64decode(payload) for payload in payloads)
    assert b"mlcanary" not in text.encode() + opened
    assert json.loads(text)["events"]
