"""``connect`` and ``authorize``: the beginning of a connection, and its coming back."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

import typer

from domain.words import one
from moorline.cli.arguments import (
    Alias,
    AsJson,
    ConnectionId,
    NoWait,
    Provider,
    Timeout,
    instant_with_offset,
)

ApiKeyStdin = Annotated[
    bool,
    typer.Option("--api-key-stdin", help="Give an API key, a line on standard input."),
]
LinkTokenStdin = Annotated[
    bool,
    typer.Option("--link-token-stdin", help="Give a link token, a line on standard input."),
]
CertificateStdin = Annotated[
    bool,
    typer.Option(
        "--certificate-stdin",
        help="Give a certificate and its private key, PEM, on standard input.",
    ),
]
FileStdin = Annotated[
    bool, typer.Option("--file-stdin", help="Give a CSV file, on standard input.")
]


def connect(
    provider: Provider,
    user: Annotated[UUID, typer.Option(help="Whose connection it is.", show_default=False)],
    connection_id: Annotated[
        UUID | None,
        typer.Option(
            "--id", help="The id it is to have; a new one unless given.", show_default=False
        ),
    ] = None,
    alias: Alias = None,
    no_wait: NoWait = False,
    credentials_stdin: Annotated[
        bool,
        typer.Option(
            "--credentials-stdin",
            help="Import credentials one has, a JSON object on standard input, instead of asking "
            "the user.",
        ),
    ] = False,
    api_key_stdin: ApiKeyStdin = False,
    link_token_stdin: LinkTokenStdin = False,
    certificate_stdin: CertificateStdin = False,
    file_stdin: FileStdin = False,
    expires_at: Annotated[
        datetime | None,
        typer.Option(
            metavar="ISO8601",
            parser=instant_with_offset,
            help="When the imported access token ends.",
            show_default=False,
        ),
    ] = None,
    timeout: Timeout = None,
    json: AsJson = False,
) -> None:
    """Connect a user's account: prints the provider's page to open, and waits for the answer."""
    if expires_at is not None and not credentials_stdin:
        raise typer.BadParameter("--expires-at belongs to --credentials-stdin")
    from moorline.cli.given import kind_of, read_credentials, read_given

    kind = kind_of(
        api_key=api_key_stdin,
        link_token=link_token_stdin,
        certificate=certificate_stdin,
        file_import=file_stdin,
    )
    if kind and credentials_stdin:
        raise typer.BadParameter(f"give {one(kind)} or credentials, not both")
    connection_id = connection_id or uuid4()
    if credentials_stdin or kind:
        given = read_given(kind) if kind else read_credentials(expires_at)
        from moorline.cli.importing import import_connection

        alive = asyncio.run(
            import_connection(given, provider, user, connection_id, alias, json=json)
        )
        raise typer.Exit(0 if alive else 1)
    from moorline.cli.authorizing import begin_connection, in_browser

    begin = begin_connection(provider, user, connection_id, alias)
    asyncio.run(in_browser(begin, wait=not no_wait, patience_s=timeout, json=json))


def authorize(
    connection_id: ConnectionId,
    redirected_url: Annotated[
        str | None,
        typer.Argument(
            help="The address the browser was sent back to, in quotes: finishes what was begun.",
            show_default=False,
        ),
    ] = None,
    no_wait: NoWait = False,
    api_key_stdin: ApiKeyStdin = False,
    link_token_stdin: LinkTokenStdin = False,
    certificate_stdin: CertificateStdin = False,
    file_stdin: FileStdin = False,
    timeout: Timeout = None,
    json: AsJson = False,
) -> None:
    """Authorize a connection again, in place; or finish from the address the browser ended on."""
    from moorline.cli.given import kind_of, read_given

    kind = kind_of(
        api_key=api_key_stdin,
        link_token=link_token_stdin,
        certificate=certificate_stdin,
        file_import=file_stdin,
    )
    if kind:
        given = read_given(kind)
        from moorline.cli.importing import give

        asyncio.run(give(connection_id, given, json=json))
        return
    from moorline.cli.authorizing import begin_again, finish, in_browser

    if redirected_url is not None:
        asyncio.run(finish(connection_id, redirected_url, json=json))
    else:
        begin = begin_again(connection_id)
        asyncio.run(in_browser(begin, wait=not no_wait, patience_s=timeout, json=json))
