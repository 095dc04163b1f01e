"""The one exception of the embedded stack; it has no leaves, because nobody can act on them."""


class StackError(Exception):
    """The stack cannot start or go on; the message is the line to show to a person."""
