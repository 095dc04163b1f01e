"""Reading what a provider's redirect brings back, and refusing what is not ours or not whole.

Nothing a provider wrote is kept but the code and the state: of an error only that it was one, and
whether the user declined.
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from domain.errors import InvalidInput
from domain.secret import Secret
from domain.status import StatusReason

LONGEST = 8192


@dataclass(frozen=True)
class Redirect:
    """A redirect: a code, or the reason why there is none."""

    state: Secret
    code: Secret | None
    refusal: StatusReason | None
    issuer: str | None
    address: str
    """Where it came to, without the query."""


def parse_redirect(url: str) -> Redirect:
    """The parts of a redirected URL.

    Raises:
        InvalidInput: too long, a parameter twice, or neither code and state nor error and state.
    """
    if len(url) > LONGEST:
        raise InvalidInput("the redirected URL is too long")
    try:
        url.encode()
        parts = urlsplit(url)
        fields = parse_qs(parts.query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise InvalidInput("the redirected URL cannot be read") from None
    if any(len(values) > 1 for values in fields.values()):
        raise InvalidInput("the redirected URL names a parameter twice")
    single = {name: values[0] for name, values in fields.items()}
    state, code, error = single.get("state"), single.get("code"), single.get("error")
    if not state or bool(code) == bool(error):
        raise InvalidInput("the redirected URL must carry state, and either code or error")
    refusal = None
    if error:
        denied = error == "access_denied"
        refusal = (
            StatusReason.AUTHORIZATION_DENIED if denied else StatusReason.AUTHORIZATION_REFUSED
        )
    return Redirect(
        state=Secret(state),
        code=Secret(code) if code else None,
        refusal=refusal,
        issuer=single.get("iss"),
        address=f"{parts.scheme}://{parts.netloc}{parts.path}",
    )


def check_issuer(redirect: Redirect, expected: str | None, *, always_sent: bool) -> None:
    """Mix-up defence (RFC 9207): the redirect must come from the server that was asked.

    A plain string comparison, as the standard demands: no normalising.

    Raises:
        InvalidInput: another issuer, or none where the server always names itself.
    """
    if redirect.issuer is None and always_sent:
        raise InvalidInput("the redirect does not name its issuer")
    if redirect.issuer is not None and expected is not None and redirect.issuer != expected:
        raise InvalidInput("the redirect names another issuer than was asked")
