"""Registering search attributes in a namespace: for the embedded server, and for any other.

It asks and adds; which attributes there should be is for the caller to say.
"""

from collections.abc import Mapping

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client

Attributes = Mapping[str, IndexedValueType.ValueType]

_SPELT = {"KeywordList": "KEYWORD_LIST"}


def kind_named(name: str) -> IndexedValueType.ValueType:
    """The kind of this name, as the `temporal` command spells it: `Keyword`, `Datetime`."""
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{_SPELT.get(name, name.upper())}")


async def registered(client: Client) -> Attributes:
    """Those the namespace knows."""
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return dict(known.custom_attributes)


async def register(client: Client, attributes: Attributes) -> None:
    """Ask for these; the namespace knows them a moment later."""
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=attributes)
    )
