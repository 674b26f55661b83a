# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Azure's rules for the names of images and virtual machines and for tags, checked before any request.

Figures: "Naming rules and restrictions for Azure resources" and "Use tags to organize your Azure resources"
of Azure's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput

_RESOURCE_GROUP = re.compile(r"[\w.()-]{0,89}[\w()-]")
_IMAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?")
_VIRTUAL_MACHINE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?")
_DISK = _IMAGE
_HOST_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
WINDOWS_COMPUTER_NAME_LENGTH = 15
LINUX_COMPUTER_NAME_LENGTH = 64
_TAG_COUNT = 50
_TAG_NAME_LENGTH = 512
_TAG_VALUE_LENGTH = 256
_TAG_NAME_FORBIDDEN = "<>%&\\?/"


def check_name(accepted: re.Pattern[str], kind: str, option: str, name: str, remedy: str) -> None:
    """Refuse a name for a resource of that kind, such as "an image", with what to do."""
    if not accepted.fullmatch(name):
        raise InvalidInput(f"{option}: {name!r} is no name Azure accepts for {kind}.", remedy=remedy)


def check_resource_group_name(name: str) -> None:
    check_name(
        _RESOURCE_GROUP,
        "a resource group",
        "resource_group",
        name,
        "Use 1 to 90 letters, digits, or any of . _ - ( ), and no . at the end.",
    )


def check_image_name(name: str) -> None:
    check_name(
        _IMAGE,
        "an image",
        "name",
        name,
        "Use 1 to 80 letters, digits, or any of . _ -, begin with a letter or digit and end with a"
        " letter, digit or _.",
    )


def check_disk_name(option: str, name: str) -> None:
    check_name(
        _DISK,
        "a disk",
        option,
        name,
        "Use 1 to 80 letters, digits, or any of . _ -, begin with a letter or digit and end with a"
        " letter, digit or _.",
    )


def check_vm_name(name: str) -> None:
    check_name(
        _VIRTUAL_MACHINE,
        "a virtual machine",
        "name",
        name,
        "Use 1 to 64 letters, digits, or any of . _ -, begin with a letter or digit and end with a"
        " letter, digit or _.",
    )


def check_computer_name(name: str, os_type: str) -> None:
    """Check a host name. `os_type`: Linux or Windows. Windows allows 15 characters and not digits alone."""
    windows = os_type == "Windows"
    longest = WINDOWS_COMPUTER_NAME_LENGTH if windows else LINUX_COMPUTER_NAME_LENGTH
    labels = [name] if windows else name.split(".")
    well_formed = all(_HOST_LABEL.fullmatch(label) for label in labels)
    if len(name) > longest or not well_formed or (windows and name.isdigit()):
        letters = "letters, digits and -" if windows else "letters, digits, - and ."
        raise InvalidInput(
            f"computer_name: {name!r} is no host name Azure accepts for {os_type}.",
            remedy=f"Set computer_name (its default is the machine's name): 1 to {longest} {letters},"
            f" beginning and ending with a letter or digit{', not digits alone' if windows else ''}.",
        )


def check_tags(tags: Mapping[str, object] | None, own: int = 0) -> None:
    """`own`: how many tags this collection adds to the user's on the same resource."""
    if not tags:
        return
    most = _TAG_COUNT - own
    if len(tags) > most:
        raise InvalidInput(
            f"tags: {len(tags)} tags are more than the {most} that can be given.",
            remedy=f"Azure allows {_TAG_COUNT} on a resource"
            + (f", and {own} of them are needed here." if own else "."),
        )
    spellings: dict[str, str] = {}
    for name, value in tags.items():
        other = spellings.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidInput(
                f"tags: {other!r} and {name!r} are the same name to Azure, which takes no notice of case.",
                remedy="Remove one of them.",
            )
        if not name or len(name) > _TAG_NAME_LENGTH or any(letter in _TAG_NAME_FORBIDDEN for letter in name):
            raise InvalidInput(
                f"tags: {name!r} is no name Azure accepts for a tag.",
                remedy=f"Use 1 to {_TAG_NAME_LENGTH} characters and none of {_TAG_NAME_FORBIDDEN}",
            )
        if len(str(value)) > _TAG_VALUE_LENGTH:
            raise InvalidInput(f"tags: the value of {name!r} is longer than {_TAG_VALUE_LENGTH} characters.")
