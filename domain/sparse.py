"""Models whose JSON leaves out what is as it is by default.

For what a workflow's history keeps once for every refresh of every connection: half of it would
say that nothing special was there. Read with the same defaults, it is the same.
"""

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer


class Sparse(BaseModel):
    """Base of such models. A default, once histories hold it, must never change."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields = type(self).model_fields
        return {
            name: value
            for name, value in handler(self).items()
            if name not in fields or getattr(self, name) != fields[name].default
        }
