"""What users give on our pages, by its kind: how long it may be, and reading it out of the form.

It is not echoed, also not where it is wrong, and nothing of it comes to lie on a disk: a form is
shorter than what would be.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from domain.credentials import CredentialType
from domain.errors import InvalidInput
from domain.files import LONGEST_FILE, named
from domain.secret import Secret

LONGEST_TOKEN: Final = 4096
LONGEST: Final = {
    CredentialType.API_KEY: 64 << 10,
    CredentialType.LINK_TOKEN: 64 << 10,
    CredentialType.CERTIFICATE: 256 << 10,
    CredentialType.FILE_IMPORT: LONGEST_FILE + (16 << 10),
}
"""How many bytes a form has at most, with all that is around what is given."""
MOST_DRAINED: Final = 16 << 20


class TooLong(InvalidInput):
    """A form has more bytes than its kind may have; none of them was kept."""


async def read_form(request: Request, kind: CredentialType) -> Mapping[str, Secret]:
    """What is in a form of this kind.

    Raises:
        TooLong: it is refused before it is read.
        InvalidInput: it is not what was asked for; a sentence for whoever filled it in.
    """
    if int(request.headers.get("content-length", "0")) > LONGEST[kind]:
        await _drain(request)
        raise TooLong("that is longer than it can be")
    if "charset" in request.headers.get("content-type", "").lower():
        # No browser names one. Of Python's, some are slow and some fail in ways of their own.
        raise InvalidInput("the form could not be read; try again")
    try:
        async with request.form(max_files=3, max_fields=3, max_part_size=LONGEST[kind]) as form:
            return await _READ[kind](form)
    except HTTPException:
        raise InvalidInput("the form could not be read; try again") from None


async def _drain(request: Request) -> None:
    """Let a browser finish sending, or it would not hear why it was in vain."""
    if int(request.headers["content-length"]) <= MOST_DRAINED:
        async for _ in request.stream():
            pass


async def _api_key(form: FormData) -> Mapping[str, Secret]:
    return {"api_key": _line(form, "api_key", "that is not a key")}


async def _link_token(form: FormData) -> Mapping[str, Secret]:
    return {"access_token": _line(form, "access_token", "that is not a link token")}


async def _certificate(form: FormData) -> Mapping[str, Secret]:
    parts = {}
    for name, what in (("client_certificate", "certificate"), ("private_key", "private key")):
        upload = _upload(form, name, f"choose the file of the {what}")
        parts[name] = await _text(upload, f"the {what} is no file in PEM form")
    chain = form.get("certificate_chain")
    if isinstance(chain, UploadFile) and chain.size:
        parts["certificate_chain"] = await _text(chain, "the chain is no file in PEM form")
    return {name: Secret(value) for name, value in parts.items()}


async def _file(form: FormData) -> Mapping[str, Secret]:
    upload = _upload(form, "file", "choose a file that is not empty")
    if (upload.size or 0) > LONGEST_FILE:
        raise TooLong("that is longer than it can be")
    content = await _text(upload, "the file is not UTF-8: export it as CSV UTF-8")
    parts = {"file_content": content, "file_format": "csv", "file_name": named(upload.filename)}
    return {name: Secret(value) for name, value in parts.items()}


def _upload(form: FormData, name: str, otherwise: str) -> UploadFile:
    upload = form.get(name)
    if not isinstance(upload, UploadFile) or not upload.size:
        raise InvalidInput(otherwise)
    return upload


async def _text(upload: UploadFile, otherwise: str) -> str:
    try:
        return (await upload.read()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(otherwise) from None


def _line(form: FormData, name: str, otherwise: str) -> Secret:
    given = form.get(name)
    line = given.strip() if isinstance(given, str) else ""
    if not line or not line.isascii() or not line.isprintable() or len(line) > LONGEST_TOKEN:
        raise InvalidInput(otherwise)
    return Secret(line)


_READ: Final[Mapping[CredentialType, Callable[[FormData], Awaitable[Mapping[str, Secret]]]]] = {
    CredentialType.API_KEY: _api_key,
    CredentialType.LINK_TOKEN: _link_token,
    CredentialType.CERTIFICATE: _certificate,
    CredentialType.FILE_IMPORT: _file,
}
