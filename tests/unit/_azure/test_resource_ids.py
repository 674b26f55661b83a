# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Reading, building and comparing resource ids."""

from __future__ import annotations

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    ResourceId,
    is_resource_id,
    normalize_location,
    parse_resource_id,
    resource_group_id,
    resource_id,
    same_resource,
)
from hypothesis import given
from hypothesis import strategies as st

PART = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._()-]{0,20}", fullmatch=True)
IDS = st.builds(
    lambda subscription, group, provider, pairs: ResourceId(
        subscription,
        group,
        provider,
        tuple(kind for kind, _unused in pairs),
        tuple(name for _unused, name in pairs),
    ),
    PART,
    PART,
    PART,
    st.lists(st.tuples(PART, PART), min_size=1, max_size=3),
)


@given(IDS)
def test_an_id_survives_writing_and_reading(made: ResourceId) -> None:
    assert parse_resource_id(str(made)) == made
    assert is_resource_id(str(made))


@given(IDS)
def test_an_id_is_the_same_resource_in_any_case(made: ResourceId) -> None:
    assert same_resource(str(made).upper(), str(made).lower() + "/")


def test_a_nested_resource() -> None:
    text = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/a/images/b/versions/1.0.0"
    found = parse_resource_id(text)
    assert found.name == "1.0.0"
    assert found.resource_type == "Microsoft.Compute/galleries/images/versions"
    assert found.names == ("a", "b", "1.0.0")


def test_keywords_are_read_in_any_case() -> None:
    found = parse_resource_id("/Subscriptions/s/resourcegroups/G/Providers/microsoft.compute/Images/i")
    assert (found.resource_group, found.name) == ("G", "i")


def test_a_resource_group() -> None:
    text = resource_group_id("s", "g")
    assert str(parse_resource_id(text)) == text
    assert parse_resource_id(text).name == "g"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web",
        "/subscriptions/s",
        "/subscriptions/s/resourceGroups",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/a/versions",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/a?x=1",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/a b",
        "subscriptions/s/resourceGroups/g",
        "https://account.blob.core.windows.net/c/b.vhd",
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    assert not is_resource_id(text)
    with pytest.raises(InvalidInput, match="is no Azure resource id"):
        parse_resource_id(text)


def test_ids_are_built_of_pairs() -> None:
    built = resource_id("s", "g", "Microsoft.Compute", "images", "i")
    assert built == "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i"
    with pytest.raises(ValueError, match="pairs"):
        resource_id("s", "g", "Microsoft.Compute", "images")


def test_nothing_is_the_same_only_as_nothing() -> None:
    assert same_resource(None, None)
    assert not same_resource(None, "/subscriptions/s")


@pytest.mark.parametrize("text", ["East US 2", "eastus2", "EastUS2", "east-us_2"])
def test_region_names(text: str) -> None:
    assert normalize_location(text) == "eastus2"
