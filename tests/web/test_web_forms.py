"""Forms for what users give: taken once, from one browser, never shown again."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from starlette.formparsers import MultiPartParser

from domain.credentials import CredentialType
from domain.files import LONGEST_FILE
from domain.status import ConnectionStatus
from gateway.forms import LONGEST
from storage.session_ends import SETTLED_WITHIN
from tests.given import (
    CERTIFIED,
    FILES,
    LINKED,
    STATEMENT,
    Certifier,
    certifying,
    read_through,
    write_files,
    write_linked,
)
from tests.web.gateway import RETURN_URL, Web, gateway_of
from tests.web.people import (
    ACTIVE,
    OWN_FORM,
    PENDING,
    begin,
    browser,
    complete,
    kept_keys,
    key_form,
    proof_in,
    session_of,
    swept,
)
from tests.world import Servers, new_world


@pytest.fixture
async def forms(servers: Servers, tmp_path: Path) -> AsyncIterator[Web]:
    write_linked(tmp_path, servers.sandbox.base_url)
    write_files(tmp_path)
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        yield web


async def fill_in(person: httpx.AsyncClient, form: str, **fields: str) -> httpx.Response:
    return await person.post(form, data=fields, headers=OWN_FORM)


async def ended_on(web: Web, person: httpx.AsyncClient, answer: httpx.Response) -> httpx.Response:
    """Where the page after the form leads."""
    assert answer.status_code == 303, answer.text
    return await person.get(f"{web.options.public_url}{answer.headers['location']}")


# -- link tokens -------------------------------------------------------------------------------


async def test_a_user_connects_with_a_link_token_given_on_our_page(forms: Web) -> None:
    connection_id, link, _ = await begin(forms, provider=LINKED)
    made = await forms.world.sandbox.new_link()
    async with browser() as person, browser() as stranger:
        assert "works by a link token" in (await person.get(link)).text
        form = await key_form(forms, person, link)
        assert 'for="access_token">Link token<' in (await person.get(form)).text
        assert (await stranger.get(form)).status_code == 404
        assert (await fill_in(stranger, form, access_token=made.api_key)).status_code == 404
        wrong = await fill_in(person, form, access_token="mlcanary-link-wrong")
        assert wrong.status_code == 409
        assert "Linked does not take this link token." in wrong.text
        assert 'role="alert"' in wrong.text
        assert 'aria-invalid="true" aria-describedby="problem"' in wrong.text
        assert "mlcanary" not in wrong.text
        done = await ended_on(forms, person, await fill_in(person, form, access_token=made.api_key))
    assert "is connected" in done.text
    view = await forms.world.becomes(connection_id, ACTIVE)
    assert view.credential_type is CredentialType.LINK_TOKEN
    await read_through(forms.world, connection_id)


@pytest.mark.parametrize("token", ["", "schlüssel", "two\nlines", "x" * 5000])
async def test_what_can_be_no_link_token_is_not_even_kept(forms: Web, token: str) -> None:
    _, link, _ = await begin(forms, provider=LINKED)
    async with browser() as person:
        form = await key_form(forms, person, link)
        answer = await fill_in(person, form, access_token=token)
    assert (answer.status_code, "That is not a link token." in answer.text) == (422, True)
    assert await kept_keys(forms) == []


async def test_a_form_that_is_too_long_is_refused_before_it_is_read(forms: Web) -> None:
    _, link, _ = await begin(forms, provider=LINKED)
    async with browser() as person:
        form = await key_form(forms, person, link)
        answer = await fill_in(person, form, access_token="mlcanary" * 20_000)
    assert answer.status_code == 413
    assert "That is longer than it can be." in answer.text
    assert "mlcanary" not in answer.text


async def test_a_form_sent_from_elsewhere_is_not_taken(forms: Web) -> None:
    _, link, _ = await begin(forms, provider=LINKED)
    async with browser() as person:
        form = await key_form(forms, person, link)
        foreign = {"sec-fetch-site": "cross-site"}
        answer = await person.post(form, data={"access_token": "mlcanary"}, headers=foreign)
    assert answer.status_code == 403
    assert await kept_keys(forms) == []


async def test_a_link_token_is_stored_only_once_its_user_is_confirmed(forms: Web) -> None:
    connection_id, link, session_id = await begin(forms, provider=LINKED, return_url=RETURN_URL)
    made = await forms.world.sandbox.new_link()
    async with browser() as person:
        form = await key_form(forms, person, link)
        proof = proof_in(await fill_in(person, form, access_token=made.api_key))
    assert (await forms.world.connections.view(connection_id)).status is PENDING
    assert (await complete(forms, session_id, proof)).json()["status"] == "active"
    assert await kept_keys(forms) == []


async def test_a_new_session_replaces_a_link_token_in_place(forms: Web) -> None:
    connection_id, link, _ = await begin(forms, provider=LINKED)
    async with browser() as person:
        form = await key_form(forms, person, link)
        made = await forms.world.sandbox.new_link()
        await fill_in(person, form, access_token=made.api_key)
        await forms.world.becomes(connection_id, ACTIVE)
        again = await forms.app.post(f"/v1/connections/{connection_id}/reauthorize", json={})
        form = await key_form(forms, person, again.json()["url"])
        other = await forms.world.sandbox.new_link()
        await ended_on(forms, person, await fill_in(person, form, access_token=other.api_key))
    view = await forms.world.connections.view(connection_id)
    assert (view.status, view.generation) == (ConnectionStatus.ACTIVE, 2)
    lease = await forms.world.connections.lease(connection_id)
    assert lease.access_token.reveal() == other.api_key


async def test_bug_the_form_of_a_session_that_leads_to_a_provider_was_shown(forms: Web) -> None:
    """Whoever guessed its address was asked for a key that nothing would come of."""
    _, link, session_id = await begin(forms)
    async with browser() as person:
        assert (await person.post(link, headers=OWN_FORM)).status_code == 200
        form = f"{forms.options.public_url}/give/{session_id}"
        answers = [await person.get(form), await fill_in(person, form, api_key="mlcanary")]
    for answer in answers:
        assert (answer.status_code, "Nothing to connect here" in answer.text) == (404, True)


# -- files -------------------------------------------------------------------------------------


async def upload(person: httpx.AsyncClient, form: str, content: bytes) -> httpx.Response:
    files = {"file": ("mlcanary-name.csv", content, "text/csv")}
    return await person.post(form, files=files, headers=OWN_FORM)


async def test_a_user_connects_with_a_file_given_on_our_page(forms: Web) -> None:
    connection_id, link, _ = await begin(forms, provider=FILES)
    async with browser() as person, browser() as stranger:
        assert "lets you export a file" in (await person.get(link)).text
        form = await key_form(forms, person, link)
        page = (await person.get(form)).text
        assert 'enctype="multipart/form-data"' in page
        assert 'for="file">CSV file<' in page
        assert (await upload(stranger, form, STATEMENT.encode())).status_code == 404
        wrong = await upload(person, form, STATEMENT.replace("10,EUR", "ten,EUR").encode())
        assert wrong.status_code == 409
        assert "This file cannot be read: line 4, amount" in wrong.text
        assert "mlcanary" not in wrong.text
        good = await upload(person, form, b"\xef\xbb\xbf" + STATEMENT.encode())
        done = await ended_on(forms, person, good)
    assert "is connected" in done.text
    await read_through(forms.world, connection_id)


@pytest.mark.parametrize("content", [b"", STATEMENT.encode("utf-16"), b"\xff\xfe\x00"])
async def test_what_can_be_no_file_of_text_is_not_even_kept(forms: Web, content: bytes) -> None:
    _, link, _ = await begin(forms, provider=FILES)
    async with browser() as person:
        form = await key_form(forms, person, link)
        answer = await upload(person, form, content)
        bare = await fill_in(person, form, file="mlcanary")
        cut = {**OWN_FORM, "content-type": "multipart/form-data; boundary=x"}
        torn = await person.post(form, content=b"--x\r\nmlcanary", headers=cut)
    for each in (answer, bare, torn):
        assert (each.status_code, "mlcanary" in each.text) == (422, False)
    assert await kept_keys(forms) == []


@pytest.mark.parametrize("charset", ["punycode", "undefined"])
async def test_bug_a_form_chose_how_its_text_was_decoded(forms: Web, charset: str) -> None:
    """Some ways raised what nobody expected (500), one took the gateway minutes for a megabyte."""
    _, link, _ = await begin(forms, provider=FILES)
    named = {**OWN_FORM, "content-type": f"multipart/form-data; charset={charset}; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n-mlcanary-\r\n--x--\r\n'
    async with browser() as person:
        form = await key_form(forms, person, link)
        answer = await person.post(form, content=part, headers=named)
    assert (answer.status_code, "could not be read" in answer.text) == (422, True)


@pytest.mark.parametrize("size", [LONGEST_FILE + 1, 2 * LONGEST_FILE])
async def test_a_file_that_is_too_long_is_refused_and_not_kept(forms: Web, size: int) -> None:
    _, link, _ = await begin(forms, provider=FILES)
    async with browser() as person:
        form = await key_form(forms, person, link)
        answer = await upload(person, form, b"mlcanary".ljust(size))
    assert answer.status_code == 413
    assert "That is longer than it can be." in answer.text
    assert "mlcanary" not in answer.text
    assert await kept_keys(forms) == []


def test_no_form_is_so_long_that_it_would_come_to_lie_on_a_disk() -> None:
    assert max(LONGEST.values()) < MultiPartParser.spool_max_size


async def test_a_form_whose_length_nobody_knows_is_refused_before_it_is_read(forms: Web) -> None:
    _, link, _ = await begin(forms, provider=FILES)

    async def endless() -> AsyncIterator[bytes]:
        yield b"mlcanary"

    async with browser() as person:
        form = await key_form(forms, person, link)
        answer = await person.post(form, content=endless(), headers=OWN_FORM)
    assert answer.status_code == 411


async def test_a_file_is_used_only_once_its_user_is_confirmed(forms: Web) -> None:
    connection_id, link, session_id = await begin(forms, provider=FILES, return_url=RETURN_URL)
    async with browser() as person:
        form = await key_form(forms, person, link)
        proof = proof_in(await upload(person, form, STATEMENT.encode()))
    assert (await forms.world.connections.view(connection_id)).status is PENDING
    assert (await complete(forms, session_id, proof)).json()["status"] == "active"


# -- certificates ------------------------------------------------------------------------------


@pytest.fixture
async def certifier(tmp_path: Path) -> AsyncIterator[Certifier]:
    async with certifying() as certifier:
        await certifier.write(tmp_path)
        yield certifier


async def give_files(
    person: httpx.AsyncClient, form: str, parts: Mapping[str, str]
) -> httpx.Response:
    files = {name: ("mlcanary.pem", pem.encode(), "") for name, pem in parts.items()}
    return await person.post(form, files=files, headers=OWN_FORM)


async def test_a_user_connects_with_a_certificate_given_on_our_page(
    certifier: Certifier, forms: Web
) -> None:
    connection_id, link, _ = await begin(forms, provider=CERTIFIED)
    good, _ = await certifier.parts()
    other, _ = await certifier.parts()
    async with browser() as person, browser() as stranger:
        assert "knows you by a certificate" in (await person.get(link)).text
        form = await key_form(forms, person, link)
        page = (await person.get(form)).text
        for name in ("client_certificate", "private_key", "certificate_chain"):
            assert f'<label for="{name}">' in page
        assert 'enctype="multipart/form-data"' in page
        assert (await give_files(stranger, form, good)).status_code == 404
        wrong = await give_files(person, form, {**good, "private_key": other["private_key"]})
        assert wrong.status_code == 409
        assert "The private key is not the one of this certificate." in wrong.text
        assert "PRIVATE KEY" not in wrong.text
        # Of an empty field a browser sends a file without name and content.
        done = await ended_on(
            forms, person, await give_files(person, form, {**good, "certificate_chain": ""})
        )
    assert "is connected" in done.text
    await read_through(forms.world, connection_id)


async def test_what_can_be_no_certificate_is_not_kept(certifier: Certifier, forms: Web) -> None:
    _, link, _ = await begin(forms, provider=CERTIFIED)
    good, _ = await certifier.parts()
    async with browser() as person:
        form = await key_form(forms, person, link)
        half = await give_files(person, form, {"client_certificate": good["client_certificate"]})
        assert (half.status_code, "Choose the file of the private key." in half.text) == (422, True)
        huge = {**good, "private_key": "mlcanary".ljust(300_000)}
        too_long = await give_files(person, form, huge)
        assert (too_long.status_code, "mlcanary" in too_long.text) == (413, False)
    assert await kept_keys(forms) == []


async def test_a_certificate_is_used_only_once_its_user_is_confirmed(
    certifier: Certifier, forms: Web
) -> None:
    connection_id, link, session_id = await begin(forms, provider=CERTIFIED, return_url=RETURN_URL)
    good, _ = await certifier.parts()
    async with browser() as person:
        form = await key_form(forms, person, link)
        proof = proof_in(await give_files(person, form, good))
    assert (await forms.world.connections.view(connection_id)).status is PENDING
    assert await certifier.remote.log(endpoint="api") == []
    assert (await complete(forms, session_id, proof)).json()["status"] == "active"


async def test_a_new_session_replaces_a_file_and_a_certificate_in_place(
    certifier: Certifier, forms: Web
) -> None:
    longer = f"{STATEMENT}Savings,2026-10-09,5,EUR,Interest,15\n"
    pairs = [(await certifier.parts())[0] for _ in "ab"]
    given = {FILES: [{"file": STATEMENT}, {"file": longer}], CERTIFIED: pairs}
    for provider, (first, second) in given.items():
        connection_id, link, _ = await begin(forms, provider=provider)
        async with browser() as person:
            form = await key_form(forms, person, link)
            await ended_on(forms, person, await give_files(person, form, first))
            await read_through(forms.world, connection_id)
            again = await forms.app.post(f"/v1/connections/{connection_id}/reauthorize", json={})
            form = await key_form(forms, person, again.json()["url"])
            done = await ended_on(forms, person, await give_files(person, form, second))
        assert "is connected" in done.text
        view = await forms.world.connections.view(connection_id)
        assert (view.status, view.generation) == (ConnectionStatus.ACTIVE, 2)


# -- a provider that cannot say now --------------------------------------------------------------


async def brought_unverified(forms: Web) -> tuple[UUID, str]:
    """A good link token, brought while the provider is away for one call; session and proof."""
    _, link, session_id = await begin(forms, provider=LINKED, return_url=RETURN_URL)
    made = await forms.world.sandbox.new_link()
    await forms.world.sandbox.plant("api", "status", grant_id=made.key_id, status=503)
    async with browser() as person:
        form = await key_form(forms, person, link)
        proof = proof_in(await fill_in(person, form, access_token=made.api_key))
    return session_id, proof


async def test_bug_a_provider_that_could_not_say_now_ended_the_session(forms: Web) -> None:
    """With a return URL the session was over as refused, though nobody had refused anything."""
    session_id, proof = await brought_unverified(forms)
    unsaid = await complete(forms, session_id, proof)
    assert (unsaid.status_code, unsaid.json()["type"]) == (503, "urn:moorline:problem:not-fresh")
    assert "cannot say now" in unsaid.json()["detail"]
    assert "retry-after" in unsaid.headers
    row = await session_of(forms, session_id)
    assert (row.finished_at, row.reason) == (None, None)
    assert (await complete(forms, session_id, proof)).json()["status"] == "active"


async def test_a_provider_that_cannot_say_now_leaves_the_form_open(forms: Web) -> None:
    connection_id, link, _ = await begin(forms, provider=LINKED)
    made = await forms.world.sandbox.new_link()
    await forms.world.sandbox.plant("api", "status", grant_id=made.key_id, status=503)
    async with browser() as person:
        form = await key_form(forms, person, link)
        unsaid = await fill_in(person, form, access_token=made.api_key)
        assert unsaid.status_code == 503
        assert "cannot say now whether this link token is good; try again later" in unsaid.text
        assert await kept_keys(forms) == []
        done = await ended_on(forms, person, await fill_in(person, form, access_token=made.api_key))
    assert "is connected" in done.text
    assert (await forms.world.becomes(connection_id, ACTIVE)).generation == 1


async def test_what_could_not_be_verified_is_destroyed_once_nobody_asks_again(forms: Web) -> None:
    session_id, proof = await brought_unverified(forms)
    assert (await complete(forms, session_id, proof)).status_code == 503
    await swept(forms, after=SETTLED_WITHIN)
    assert await kept_keys(forms) == []
    assert (await complete(forms, session_id, proof)).status_code == 409
