"""What people read of connections, how our apps at the providers fare, and staged imports."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.credentials import CredentialType, ProviderCredentials
from domain.errors import NotFound, StorageFault
from domain.outcomes import Outcome
from domain.secret import Secret
from domain.status import ConnectionStatus, StatusReason
from domain.view import ConnectionView, Receipt
from storage import provider_apps, staging, views
from storage.tables import ConnectionRow
from tests.stored import AT, HOUR, Stored

S = ConnectionStatus


async def view(stored: Stored, connection_id: UUID) -> ConnectionView:
    async with stored.database.transaction() as session:
        return await views.get(session, connection_id)


async def test_a_view_shows_an_active_connection_and_no_secret(stored: Stored) -> None:
    connection_id = await stored.active(alias="mine")
    shown = await view(stored, connection_id)
    assert (shown.connection_id, shown.status, shown.alias) == (connection_id, S.ACTIVE, "mine")
    assert (shown.generation, shown.expires_at) == (1, AT + HOUR)
    assert (shown.refresh_at, shown.ending) == (AT + HOUR / 2, False)
    assert (shown.trouble, shown.attempt, shown.receipt) == (None, None, None)
    assert "mlcanary" not in shown.model_dump_json()
    assert ConnectionView.model_validate_json(shown.model_dump_json()) == shown


@pytest.mark.parametrize("status", [S.EXPIRED, S.REVOKED, S.DISCONNECTED])
async def test_clocks_are_shown_only_while_they_run(
    stored: Stored, status: ConnectionStatus
) -> None:
    connection_id = await stored.active()
    await stored.become(connection_id, status)
    shown = await view(stored, connection_id)
    assert (shown.expires_at, shown.refresh_at, shown.reauthorize_by) == (None, None, None)


async def test_an_ending_connection_is_shown_as_ending_until_it_is_over(stored: Stored) -> None:
    connection_id = await stored.active()
    await stored.end(connection_id)
    shown = await view(stored, connection_id)
    assert (shown.ending, shown.status, shown.expires_at) == (True, S.ACTIVE, None)
    await stored.become(connection_id, S.DISCONNECTED, StatusReason.USER_DISCONNECTED)
    shown = await view(stored, connection_id)
    assert (shown.ending, shown.status) == (False, S.DISCONNECTED)


async def test_trouble_attempt_and_receipt_are_shown(stored: Stored) -> None:
    connection_id = await stored.active()
    attempt = await stored.attempt(connection_id)
    receipt = Receipt(connection_id=connection_id, shredded=True)
    await stored.change(
        "UPDATE connections SET degraded_since = :at, degraded_cause = 'rate_limited', "
        "failures = 2, retry_at = :at WHERE id = :id",
        at=AT,
        id=connection_id,
    )
    async with stored.database.transaction() as session:
        row = await session.get_one(ConnectionRow, connection_id)
        row.receipt = receipt.model_dump(mode="json")
    shown = await view(stored, connection_id)
    assert shown.trouble is not None
    assert (shown.trouble.cause, shown.trouble.failures) == (Outcome.RATE_LIMITED, 2)
    assert shown.attempt is not None
    assert (shown.attempt.attempt_id, shown.attempt.status) == (attempt.id, "pending")
    assert shown.receipt == receipt


async def test_an_unknown_connection_is_not_found(stored: Stored) -> None:
    with pytest.raises(NotFound):
        await view(stored, uuid4())


async def test_connections_are_found_by_all_that_is_asked_for_newest_first(
    stored: Stored,
) -> None:
    user_id, slug = uuid4(), f"p{uuid4().hex[:8]}"
    old = await stored.active(user_id=user_id, provider_slug=slug)
    new = await stored.pending(user_id=user_id, provider_slug=slug)
    elsewhere = await stored.pending(user_id=user_id, provider_slug="xero")
    strangers = await stored.pending(provider_slug=slug)
    for minutes, connection_id in enumerate((old, new, elsewhere, strangers)):
        await stored.change(
            "UPDATE connections SET created_at = :at WHERE id = :id",
            at=AT + timedelta(minutes=minutes),
            id=connection_id,
        )

    async def found(**asked: object) -> list[UUID]:
        async with stored.database.transaction() as session:
            return [each.connection_id for each in await views.find(session, **asked)]  # type: ignore[arg-type]

    assert await found(user_id=user_id) == [elsewhere, new, old]
    assert await found(provider_slug=slug) == [strangers, new, old]
    assert await found(user_id=user_id, provider_slug=slug) == [new, old]
    assert await found(user_id=user_id, status=S.ACTIVE) == [old]
    assert await found(user_id=user_id, limit=2) == [elsewhere, new]
    assert await found(user_id=user_id, before=views.Place(AT + timedelta(minutes=1), new)) == [old]
    assert await found(user_id=uuid4()) == []


# -- our apps at the providers -----------------------------------------------------------------


async def test_a_refused_app_is_noted_once_and_is_over_when_it_works(stored: Stored) -> None:
    slug, other = f"p{uuid4().hex[:8]}", f"p{uuid4().hex[:8]}"

    async def trouble() -> dict[str, tuple[object, str | None]]:
        async with stored.database.transaction() as session:
            rows = await provider_apps.in_trouble(session)
        known = {row.provider_slug: row for row in rows}
        return {
            each: (known[each].misconfigured_since, known[each].misconfigured_code)
            for each in (slug, other)
            if each in known
        }

    async with stored.database.transaction() as session:
        await provider_apps.works(session, slug)  # nothing to be over
        await provider_apps.misconfigured(session, slug, "invalid_client", AT)
        await provider_apps.misconfigured(session, slug, "invalid_scope", AT + HOUR)
        await provider_apps.misconfigured(session, other, None, AT)
    assert await trouble() == {slug: (AT, "invalid_scope"), other: (AT, None)}
    async with stored.database.transaction() as session:
        await provider_apps.works(session, slug)
    assert await trouble() == {other: (AT, None)}
    async with stored.database.transaction() as session:
        await provider_apps.misconfigured(session, slug, "invalid_client", AT + 2 * HOUR)
    assert (await trouble())[slug] == (AT + 2 * HOUR, "invalid_client")


# -- staged imports ----------------------------------------------------------------------------


async def test_staged_credentials_wait_sealed_for_a_connection_that_is_not_born(
    stored: Stored,
) -> None:
    connection_id = uuid4()
    secret = {"access_token": Secret("mlcanary-at"), "refresh_token": Secret("mlcanary-rt")}
    async with stored.database.transaction() as session:
        sealed = await staging.seal(session, stored.vault, connection_id, secret)
    assert b"mlcanary" not in sealed
    credentials = ProviderCredentials(sealed, CredentialType.OAUTH2, AT + HOUR)
    async with stored.database.transaction() as session:
        staged = await staging.stage(session, stored.vault, connection_id, credentials, AT)
    async with stored.database.transaction() as session:
        row = await staging.get(session, staged.id)
        assert row is not None
        assert (row.connection_id, row.credential_type) == (connection_id, "oauth2")
        assert (row.expires_at, row.created_at) == (AT + HOUR, AT)
        assert staging.open_staged(await stored.key(connection_id), row) == secret
        assert await staging.get(session, uuid4()) is None


async def test_what_was_staged_for_one_connection_opens_for_no_other(stored: Stored) -> None:
    mine, theirs = uuid4(), uuid4()
    async with stored.database.transaction() as session:
        sealed = await staging.seal(
            session, stored.vault, mine, {"access_token": Secret("mlcanary-at")}
        )
        credentials = ProviderCredentials(sealed, CredentialType.OAUTH2)
        row = await staging.stage(session, stored.vault, theirs, credentials, AT)
    with pytest.raises(StorageFault):
        staging.open_staged(await stored.key(theirs), row)
    with pytest.raises(StorageFault):
        staging.open_staged(await stored.key(mine), row.model_copy(update={"sealed": sealed[:-1]}))


async def test_a_receipt_does_not_outlive_the_next_authorization(stored: Stored) -> None:
    connection_id = await stored.active()
    async with stored.database.transaction() as session:
        row = await session.get_one(ConnectionRow, connection_id)
        row.receipt = Receipt(connection_id=connection_id, shredded=True).model_dump(mode="json")
    await stored.become(connection_id, S.REVOKED)
    assert (await view(stored, connection_id)).receipt is not None
    await stored.become(connection_id, S.ACTIVE)
    assert (await view(stored, connection_id)).receipt is None


async def test_all_that_are_not_over_are_found_page_by_page(stored: Stored) -> None:
    alive = {await stored.active() for _ in range(3)}
    over = await stored.active()
    await stored.become(over, S.DISCONNECTED)
    found: list[UUID] = []
    page = [UUID(int=0)]
    while page:
        async with stored.database.transaction() as session:
            page = [
                each.connection_id
                for each in await views.unfinished(session, after=page[-1], limit=2)
            ]
        assert len(page) <= 2
        found += page
    assert found == sorted(found)
    assert [each for each in found if each in alive | {over}] == sorted(alive)
