"""What users give, of every kind, brought over HTTP: born ACTIVE, replaced, not repeated."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from tests.given import (
    CERTIFIED,
    FILES,
    LINKED,
    STATEMENT,
    certifying,
    read_through,
    write_files,
    write_linked,
)
from tests.web.gateway import Web, gateway_of
from tests.world import Servers, new_world


@pytest.fixture
async def importing(servers: Servers, tmp_path: Path) -> AsyncIterator[Web]:
    write_linked(tmp_path, servers.sandbox.base_url)
    write_files(tmp_path)
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        yield web


async def put(
    web: Web, connection_id: UUID, provider: str, credentials: Mapping[str, object]
) -> httpx.Response:
    body = {
        "user_id": str(web.world.user_id),
        "provider": provider,
        "credentials": dict(credentials),
    }
    path = f"/v1/connections/{connection_id}/credentials"
    answer = await web.app.put(path, json=body)
    assert "mlcanary" not in answer.text
    return answer


def file_body(content: str) -> dict[str, str]:
    return {"type": "file_import", "file_content": content, "file_name": "mlcanary.csv"}


async def test_a_link_token_makes_a_connection(importing: Web) -> None:
    connection_id, made = uuid4(), await importing.world.sandbox.new_link()
    wrong = {"type": "link_token", "access_token": "mlcanary-link-made-up"}
    refused = await put(importing, connection_id, LINKED, wrong)
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "Linked does not take this link token",
    )
    good = {"type": "link_token", "access_token": made.api_key, "item_id": "item-1"}
    answer = await put(importing, connection_id, LINKED, good)
    assert (answer.status_code, answer.json()["credential_type"]) == (201, "link_token")
    again = await put(importing, connection_id, LINKED, good)
    assert (again.status_code, again.json()["generation"]) == (200, 1)
    await read_through(importing.world, connection_id)


async def test_a_file_makes_a_connection_and_another_file_takes_its_place(importing: Web) -> None:
    connection_id = uuid4()
    refused = await put(importing, connection_id, FILES, file_body("mlcanary"))
    assert refused.status_code == 409
    assert "this file cannot be read" in refused.json()["detail"]
    answer = await put(importing, connection_id, FILES, file_body(STATEMENT))
    assert (answer.status_code, answer.json()["credential_type"]) == (201, "file_import")
    await read_through(importing.world, connection_id)
    longer = f"{STATEMENT}Savings,2026-10-09,5,EUR,Interest,15\n"
    another = await put(importing, connection_id, FILES, file_body(longer))
    assert (another.status_code, another.json()["generation"]) == (200, 2)
    await read_through(importing.world, connection_id, times=2)


async def test_a_certificate_makes_a_connection_and_another_takes_its_place(
    servers: Servers, tmp_path: Path
) -> None:
    async with certifying() as certifier:
        await certifier.write(tmp_path)
        async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
            connection_id = uuid4()
            first, second = [(await certifier.parts())[0] for _ in "ab"]
            mixed = {**first, "private_key": second["private_key"]}
            refused = await put(web, connection_id, CERTIFIED, {"type": "certificate", **mixed})
            assert refused.status_code == 409
            assert "PRIVATE KEY" not in refused.text
            made = await put(web, connection_id, CERTIFIED, {"type": "certificate", **first})
            assert (made.status_code, made.json()["credential_type"]) == (201, "certificate")
            assert made.json()["reauthorize_by"] is not None
            another = await put(web, connection_id, CERTIFIED, {"type": "certificate", **second})
            assert (another.status_code, another.json()["generation"]) == (200, 2)
            await read_through(world, connection_id)


async def test_a_file_of_the_greatest_length_passes_and_a_longer_one_does_not(
    importing: Web,
) -> None:
    line = "Savings,2026-10-09,5,EUR,Interest,15\n"
    head = "account,booked_on,amount,currency,description,balance\n"
    longest = (head + line * (1_000_000 // len(line)))[: 1_000_000 - len(line)].rpartition("\n")[0]
    answer = await put(importing, uuid4(), FILES, file_body(longest))
    assert answer.status_code == 201, answer.text
    too_long = await put(importing, uuid4(), FILES, file_body("mlcanary".ljust(1_000_001)))
    assert too_long.status_code == 422
    far_too_long = await put(importing, uuid4(), FILES, file_body("mlcanary".ljust(3_000_000)))
    assert far_too_long.status_code == 413


async def test_no_log_says_what_a_certificate_holds(
    servers: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with certifying() as certifier:
        await certifier.write(tmp_path)
        async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
            first, second = [(await certifier.parts())[0] for _ in "ab"]
            for key in (first["private_key"], second["private_key"], "mlcanary"):
                body = {"type": "certificate", **first, "private_key": key}
                await put(web, uuid4(), CERTIFIED, body)
    keys = [each["private_key"].splitlines()[1] for each in (first, second)]
    said = [record.getMessage() for record in caplog.records]
    assert said
    assert not any(secret in each for each in said for secret in (*keys, "mlcanary"))


async def test_no_log_says_what_was_given(importing: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await put(importing, uuid4(), FILES, file_body(STATEMENT))
    await put(importing, uuid4(), FILES, file_body("mlcanary"))
    made = await importing.world.sandbox.new_link()
    for token in (made.api_key, "mlcanary-link-made-up"):
        body = {"type": "link_token", "access_token": token}
        await put(importing, uuid4(), LINKED, body)
    said = [record.getMessage() for record in caplog.records]
    assert said
    assert not any("mlcanary" in each for each in said)


async def test_bug_a_file_with_half_a_character_was_tried_again_for_ever(importing: Web) -> None:
    """JSON can say what no UTF-8 can; it failed where a mistake of ours was thought of."""
    torn = STATEMENT.replace("Salary", "mlcanary\ud800")
    body = {
        "user_id": str(importing.world.user_id),
        "provider": FILES,
        "credentials": file_body(torn),
    }
    path = f"/v1/connections/{uuid4()}/credentials"
    headers = {"content-type": "application/json"}
    answer = await importing.app.put(path, content=json.dumps(body), headers=headers)
    assert (answer.status_code, "line 2, description" in answer.text) == (409, True)
    assert "mlcanary" not in answer.text


async def test_bug_a_long_body_was_read_and_parsed_before_its_sender_was_asked_for_a_key(
    importing: Web,
) -> None:
    """Two megabytes of JSON, which anybody could send, took the gateway half a second."""
    path = f"/v1/connections/{uuid4()}/credentials"
    headers = {"content-type": "application/json"}
    answer = await importing.anyone.put(path, content=b"[" * 100_000, headers=headers)
    assert answer.status_code == 401
