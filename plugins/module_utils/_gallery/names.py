# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""How galleries, image definitions and versions are named, and the values that their options share.

Figures: "Naming rules and restrictions for Azure resources" and "Azure Compute Gallery" of Azure's
documentation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    is_resource_id,
    parse_resource_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_name,
    check_resource_group_name,
)

GALLERY_API = "2024-03-03"
MOST_REPLICAS = 100
LARGEST_PART = 2**31 - 1
_SHOWN = 5
_COMPUTE = "Microsoft.Compute"
_GALLERY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.]{0,78}[A-Za-z0-9])?")
_DEFINITION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9])?")
_VERSION = re.compile(r"(\d{1,10})\.(\d{1,10})\.(\d{1,10})", re.ASCII)


class VersionNumber(NamedTuple):
    """Versions are compared by their numbers: 1.10.0 is later than 1.9.0."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def check_gallery_name(option: str, name: str) -> None:
    check_name(
        _GALLERY,
        "a gallery",
        option,
        name,
        "Use 1 to 80 letters, digits, or any of . _, beginning and ending with a letter or digit.",
    )


def check_definition_name(option: str, name: str) -> None:
    check_name(
        _DEFINITION,
        "an image definition",
        option,
        name,
        "Use 1 to 80 letters, digits, or any of . _ -, beginning and ending with a letter or digit.",
    )


def version_number(text: str) -> VersionNumber | None:
    """The numbers of a version's name; None for what is no version."""
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    number = VersionNumber(*map(int, found.groups()))
    return number if max(number) <= LARGEST_PART else None


def check_version(option: str, text: str) -> None:
    if version_number(text) is None:
        raise InvalidInput(
            f"{option}: {text!r} is no version.",
            remedy="It consists of three numbers, for example 1.0.0.",
        )


def check_replicas(option: str, count: int | None) -> None:
    if count is not None and not 1 <= count <= MOST_REPLICAS:
        raise InvalidInput(f"{option}: {count} is not between 1 and {MOST_REPLICAS}.")


def moment_of(option: str, text: str) -> datetime:
    """A date of the user's, in UTC where it names no zone."""
    try:
        # Python 3.10 does not read the Z that stands for +00:00.
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError as error:
        raise InvalidInput(
            f"{option}: {text!r} is no date.", remedy="It reads 2030-01-31 or 2030-01-31T12:00:00Z."
        ) from error
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)


def wire_moment(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def future(option: str, text: str) -> str:
    """A date of the user's as Azure takes it. Raises InvalidInput for one that has passed."""
    moment = moment_of(option, text)
    if moment <= datetime.now(timezone.utc):
        raise InvalidInput(f"{option}: {text} is in the past.", remedy="Give a date to come.")
    return wire_moment(moment)


def gallery_id(subscription: str, resource_group: str | None, gallery: str, option: str = "gallery") -> str:
    """The id of a gallery that is given by its id, or by its name and resource group."""
    if is_resource_id(gallery):
        parsed = parse_resource_id(gallery)
        if parsed.resource_type.lower() != "microsoft.compute/galleries":
            raise InvalidInput(f"{option}: {gallery} is not the id of a gallery.")
        return str(parsed)
    check_gallery_name(option, gallery)
    if not resource_group:
        raise InvalidInput(
            f"{option}: nothing says in which resource group gallery {gallery} is.",
            remedy="Set resource_group, or give the gallery's id.",
        )
    check_resource_group_name(resource_group)
    return resource_id(subscription, resource_group, _COMPUTE, "galleries", gallery)


def definition_id(gallery: str, definition: str) -> str:
    return f"{gallery}/images/{definition}"


def version_id(definition: str, version: str) -> str:
    return f"{definition}/versions/{version}"


def first_of(names: Sequence[str]) -> str:
    """Some names for a sentence, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def parent_id(resource: str) -> str:
    """The id of the gallery of a definition, or of the definition of a version."""
    return resource.rsplit("/", 2)[0]
