"""Who serves a user the pages of an authorization, and takes in what the provider sends back."""

from enum import StrEnum


class Pages(StrEnum):
    """Where the user's browser begins, and where it comes back to."""

    LOOPBACK = "loopback"
    """This machine, or an application with pages of its own: ``MOORLINE_REDIRECT_URI``."""
    GATEWAY = "gateway"
    """The gateway: below ``MOORLINE_PUBLIC_URL``, an address of its own for each provider."""
