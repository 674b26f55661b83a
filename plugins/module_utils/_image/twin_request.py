# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a twin of a virtual machine is asked to be; what can be checked without Azure is checked here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    is_resource_id,
    parse_resource_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    DEFAULT_HOURS,
    TAG_NAMES,
    Build,
    derived_build_id,
    new_build,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_resource_group_name,
    check_tags,
    check_vm_name,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmNetwork

RESTORE_POINT = "restore_point"
SNAPSHOTS = "snapshots"
CRASH = "crash"
PURPOSE = "twin"
_MACHINES = "Microsoft.Compute/virtualMachines"
# A disk's name is the machine's with the longest of the endings that are added: 80 characters in all.
_NAME_LENGTH = 64


@dataclass(frozen=True)
class TwinRequest:
    """A twin as it is wanted.

    ``method`` is restore_point, snapshots, or None: what the disks allow. ``consistency`` is crash,
    file_system or application. ``network`` without a subnet means one of the twin's own.
    """

    source_id: str | None
    build: Build
    group: str
    name: str
    size: str | None = None
    network: VmNetwork = field(default_factory=VmNetwork)
    internet_access: bool = False
    method: str | None = None
    consistency: str = CRASH
    keep_on_failure: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def source_name(self) -> str:
        """The name of the source machine; "" where it was not said."""
        return parse_resource_id(self.source_id).name if self.source_id else ""

    @classmethod
    def from_options(cls, options: Mapping[str, Any], subscription: str, now: datetime) -> TwinRequest:
        """Read the module's options. Raises InvalidInput for what cannot work in any case."""
        source = _source_id(options, subscription)
        build_id = options.get("build_id") or (derived_build_id(source, PURPOSE) if source else None)
        if build_id is None:
            raise InvalidInput("source_vm: neither it nor build_id was given.", remedy="Give one of them.")
        build = new_build(build_id, int(options.get("expires_after", DEFAULT_HOURS)), now)
        group = options.get("twin_resource_group") or f"goldenimage-twin-{build.id}"
        check_resource_group_name(group)
        given = options.get("name")
        source_name = parse_resource_id(source).name if source else PURPOSE
        name = given or f"{source_name[: _NAME_LENGTH - len(PURPOSE) - 1]}-{PURPOSE}"
        check_vm_name(name)
        request = cls(
            source_id=source,
            build=build,
            group=group,
            name=name,
            size=options.get("size") or None,
            network=_network(options),
            internet_access=bool(options.get("internet_access")),
            method=options.get("method") or None,
            consistency=options.get("consistency") or CRASH,
            keep_on_failure=bool(options.get("keep_on_failure")),
            tags={
                key: "" if value is None else str(value) for key, value in (options.get("tags") or {}).items()
            },
        )
        request._check()
        return request

    def _check(self) -> None:
        check_tags(self.tags, own=len(TAG_NAMES))
        taken = [name for name in self.tags if name.casefold() in TAG_NAMES]
        if taken:
            raise InvalidInput(
                f"tags: {taken[0]} is one of the tags by which temporary resources are found again.",
                remedy="Leave it out.",
            )
        if self.method == SNAPSHOTS and self.consistency != CRASH:
            raise InvalidInput(
                f"consistency: snapshots of single disks are never {self.consistency} consistent.",
                remedy="Leave out consistency, or set method to restore_point.",
            )
        if self.source_id:
            home = parse_resource_id(self.source_id).resource_group
            if home.casefold() == self.group.casefold():
                raise InvalidInput(
                    f"twin_resource_group: {self.group} is the group of the source, and the twin's group is"
                    " removed with the twin.",
                    remedy="Leave it out, or give another name.",
                )


def _network(options: Mapping[str, Any]) -> VmNetwork:
    """The security group is the twin's own in a given subnet too, so that ports can be opened in any case."""
    subnet = options.get("subnet") or None
    if subnet and not is_resource_id(subnet):
        raise InvalidInput(f"subnet: {subnet} is no resource id.", remedy="Give the id of the subnet.")
    wanted = ("public_ip", "open_ports", "open_ports_from")
    return replace(VmNetwork.from_options({name: options.get(name) for name in wanted}), subnet=subnet)


def _source_id(options: Mapping[str, Any], subscription: str) -> str | None:
    """The id of the machine that the options source_vm and resource_group name, if any."""
    given = options.get("source_vm")
    if not given:
        return None
    if not is_resource_id(given):
        group = options.get("resource_group")
        if not group:
            raise InvalidInput(
                f"source_vm: {given} is a name, and which resource group it is in is not said.",
                remedy="Give resource_group, or the id of the machine.",
            )
        check_resource_group_name(group)
        return resource_id(subscription, group, *_MACHINES.split("/"), given)
    parsed = parse_resource_id(given)
    if parsed.resource_type.casefold() != _MACHINES.casefold():
        raise InvalidInput(f"source_vm: {given} is no virtual machine.")
    if parsed.subscription.casefold() != subscription.casefold():
        raise InvalidInput(
            f"source_vm: {given} is in another subscription than the session.",
            remedy="Set subscription_id to it: the twin is made where its source is.",
        )
    return str(parsed)
