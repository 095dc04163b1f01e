"""No stored secret is found in PostgreSQL's files: tables, indexes, write-ahead log, logs."""

import secrets
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from domain.credentials import CredentialType, ProviderCredentials
from domain.secret import Secret
from storage import attempts, staging
from storage.database import run
from tests.stored import AT, Stored


async def files_with(stored: Stored, *canaries: str) -> set[str]:
    """Which of the server's files hold one of these, once everything has been written out."""
    patient = stored.database.without_statement_timeout()  # the disk may be busy
    async with patient.transaction() as session:
        await run(session, "CHECKPOINT", {})
    await patient.close()
    folder = Path(await stored.value("SHOW data_directory"))
    found = set()
    for file in [file for file in folder.parent.rglob("*") if file.is_file()]:
        with suppress(FileNotFoundError):  # another test's database went away
            content = file.read_bytes()
            found |= {canary for canary in canaries if canary.encode() in content}
    return found


async def test_stored_secrets_are_nowhere_in_the_servers_files(stored: Stored) -> None:
    mark = secrets.token_hex(8)
    token, state, code = f"mlcanary-at-{mark}", f"mlcanary-state-{mark}", f"mlcanary-code-{mark}"
    staged, late = f"mlcanary-staged-{mark}", f"mlcanary-late-{mark}"
    control = f"control-{mark}"  # the hunt finds what is stored in the clear

    connection_id = await stored.active(alias=control)
    claim = await stored.claimed(connection_id)
    lost = await stored.envelope(claim, access_token=late)
    await stored.lapse(connection_id)
    claim = await stored.claimed(connection_id)
    await stored.commit(await stored.envelope(claim, access_token=token))
    await stored.commit(lost)
    attempt = await stored.attempt(connection_id, state=state)
    async with stored.database.transaction() as session:
        row = await attempts.by_state(session, Secret(state))
        assert row.id == attempt.id
        await attempts.park(session, stored.vault, row, Secret(code), AT)
    unborn = uuid4()
    async with stored.database.transaction() as session:
        sealed = await staging.seal(session, stored.vault, unborn, {"api_key": Secret(staged)})
        credentials = ProviderCredentials(sealed, CredentialType.API_KEY)
        await staging.stage(session, stored.vault, unborn, credentials, AT)

    assert (await stored.secret(connection_id))["access_token"].reveal() == token
    assert len(await stored.orphans(connection_id)) == 1
    assert await files_with(stored, token, state, code, staged, late, control) == {control}
