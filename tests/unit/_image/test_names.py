# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The rules for names and tags."""

from __future__ import annotations

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_computer_name,
    check_image_name,
    check_resource_group_name,
    check_tags,
    check_vm_name,
)


@pytest.mark.parametrize("name", ["a", "7", "web-1.0", "Web_", "a" * 80, "a..b"])
def test_image_names_that_azure_accepts(name: str) -> None:
    check_image_name(name)


@pytest.mark.parametrize("name", ["", "-a", "_a", ".a", "a-", "a.", "a b", "a/b", "ä", "a" * 81, "a\n"])
def test_image_names_that_azure_refuses(name: str) -> None:
    with pytest.raises(InvalidInput, match="1 to 80"):
        check_image_name(name)


@pytest.mark.parametrize("name", ["rg", "(x)_1.a", "ümläut", "a" * 90])
def test_resource_group_names_that_azure_accepts(name: str) -> None:
    check_resource_group_name(name)


@pytest.mark.parametrize("name", ["", "rg.", "a b", "a/b", "a" * 91])
def test_resource_group_names_that_azure_refuses(name: str) -> None:
    with pytest.raises(InvalidInput, match="resource_group"):
        check_resource_group_name(name)


@pytest.mark.parametrize("name", ["", "-vm", "vm-", "vm.", "a" * 65, "v m"])
def test_machine_names_that_azure_refuses(name: str) -> None:
    with pytest.raises(InvalidInput, match="1 to 64"):
        check_vm_name(name)


@pytest.mark.parametrize(
    ("name", "os_type"),
    [
        ("web-1", "Linux"),
        ("web.example", "Linux"),
        ("a" * 64, "Linux"),
        ("WEB1", "Windows"),
        ("w" * 15, "Windows"),
    ],
)
def test_host_names_that_azure_accepts(name: str, os_type: str) -> None:
    check_vm_name(name)
    check_computer_name(name, os_type)


@pytest.mark.parametrize(
    ("name", "os_type"),
    [
        ("web_1", "Linux"),
        ("-web", "Linux"),
        ("web.", "Linux"),
        ("a" * 65, "Linux"),
        ("w" * 16, "Windows"),
        ("web.example", "Windows"),
        ("12345", "Windows"),
        ("web-", "Windows"),
    ],
)
def test_host_names_that_azure_refuses(name: str, os_type: str) -> None:
    with pytest.raises(InvalidInput, match=f"computer_name.*{os_type}"):
        check_computer_name(name, os_type)


def test_tags_are_checked_whatever_yaml_made_of_their_values() -> None:
    check_tags(None)
    check_tags({"release": 1, "empty": None, "text": "x" * 256})
    for wrong in (
        {"a<b": "x"},
        {"": "x"},
        {"n" * 513: "x"},
        {"n": "x" * 257},
        {"Owner": "a", "owner": "b"},
        {f"n{i}": "" for i in range(51)},
    ):
        with pytest.raises(InvalidInput, match="tags"):
            check_tags(wrong)


def test_tags_leave_room_for_those_that_are_added() -> None:
    tags = {f"n{i}": "" for i in range(49)}
    check_tags(tags, own=1)
    with pytest.raises(InvalidInput, match=r"49 tags are more than the 48.*2 of them are needed"):
        check_tags(tags, own=2)
