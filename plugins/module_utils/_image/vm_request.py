# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a virtual machine is asked to be; everything that can be checked without Azure is checked here."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    is_resource_id,
    normalize_location,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import HIGHEST_LUN
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_disk_name,
    check_resource_group_name,
    check_tags,
    check_vm_name,
)

DEFAULT_SIZE = "Standard_D2s_v5"
_CUSTOM_DATA_LIMIT = 65535
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class VmDisk:
    """A disk of the machine. Sizes are GiB; `lun` None: the operating system disk."""

    name: str | None = None
    size_gb: int | None = None
    storage_account_type: str | None = None
    caching: str | None = None
    delete_option: str = "Delete"
    lun: int | None = None

    @classmethod
    def from_options(cls, option: str, options: Mapping[str, Any]) -> VmDisk:
        disk = cls(**{name: value for name, value in options.items() if value not in (None, "")})
        if disk.name is not None:
            check_disk_name(f"{option}.name", disk.name)
        if disk.size_gb is not None and disk.size_gb < 1:
            raise InvalidInput(f"{option}.size_gb: {disk.size_gb} is less than 1.")
        if disk.lun is not None and not 0 <= disk.lun <= HIGHEST_LUN:
            raise InvalidInput(f"{option}.lun: {disk.lun} is not between 0 and {HIGHEST_LUN}.")
        return disk


@dataclass(frozen=True)
class VmNetwork:
    """Where the machine is connected; with neither subnet nor interfaces it gets a network of its own."""

    subnet: str | None = None
    virtual_network: str | None = None
    network_interfaces: tuple[str, ...] = ()
    public_ip: bool = False
    open_ports: tuple[int, ...] = ()
    open_ports_from: tuple[str, ...] = ("*",)

    @property
    def own(self) -> bool:
        return not self.subnet and not self.network_interfaces

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> VmNetwork:
        network = cls(
            subnet=options.get("subnet") or None,
            virtual_network=options.get("virtual_network") or None,
            network_interfaces=tuple(options.get("network_interfaces") or ()),
            public_ip=bool(options.get("public_ip")),
            open_ports=tuple(dict.fromkeys(options.get("open_ports") or ())),
            open_ports_from=tuple(options.get("open_ports_from") or ("*",)),
        )
        network._check()
        return network

    def _check(self) -> None:
        if self.network_interfaces and (self.subnet or self.virtual_network or self.public_ip):
            raise InvalidInput(
                "network_interfaces: existing interfaces bring their own subnet and public address.",
                remedy="Leave out subnet, virtual_network and public_ip, or leave out network_interfaces.",
            )
        if self.virtual_network and not self.subnet:
            raise InvalidInput("virtual_network: the subnet is missing.", remedy="Give subnet, its name.")
        if self.subnet and not is_resource_id(self.subnet) and not self.virtual_network:
            raise InvalidInput(
                f"subnet: {self.subnet} is a name, and which network it is in is not said.",
                remedy="Give virtual_network, or the id of the subnet.",
            )
        if self.open_ports and not self.own:
            raise InvalidInput(
                "open_ports: ports are opened only in a network that is made for the machine.",
                remedy="Leave out open_ports and set the rules of the existing network.",
            )
        wrong = [port for port in self.open_ports if not 0 < port <= _HIGHEST_PORT]
        if wrong:
            raise InvalidInput(
                f"open_ports: {wrong[0]} is no port.", remedy=f"Ports are 1 to {_HIGHEST_PORT}."
            )


@dataclass(frozen=True)
class VmRequest:
    """A virtual machine as it is wanted; None stands for "not said"."""

    resource_group: str
    name: str
    location: str | None = None
    image: str | Mapping[str, Any] | None = None
    os_type: str | None = None
    size: str | None = None
    admin_username: str | None = None
    ssh_public_keys: tuple[str, ...] = ()
    admin_password: str | None = field(default=None, repr=False)
    computer_name: str | None = None
    custom_data: str | None = field(default=None, repr=False)
    os_disk: VmDisk = field(default_factory=VmDisk)
    data_disks: tuple[VmDisk, ...] = ()
    network: VmNetwork = field(default_factory=VmNetwork)
    zone: str | None = None
    security_type: str | None = None
    plan: Mapping[str, str] | None = None
    user_assigned_identities: tuple[str, ...] = ()
    boot_diagnostics: bool = True
    power_state: str | None = None
    generalized: bool | None = None
    tags: dict[str, str] | None = None
    append_tags: bool = True
    keep: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> VmRequest:
        """Read the module's options. Raises InvalidInput for what Azure would refuse in any case."""
        check_resource_group_name(options["resource_group"])
        check_vm_name(options["name"])
        data_disks = tuple(
            VmDisk.from_options(f"data_disks[{position}]", disk)
            for position, disk in enumerate(options.get("data_disks") or ())
        )
        counted = Counter(disk.lun for disk in data_disks)
        repeated = [str(lun) for lun, count in counted.items() if count > 1]
        if repeated:
            raise InvalidInput(f"data_disks: LUN {', '.join(repeated)} is given more than once.")
        login = ("admin_username", "admin_password", "computer_name", "custom_data")
        others = ("image", "os_type", "size", "zone", "security_type", "plan", "power_state")
        request = cls(
            resource_group=options["resource_group"],
            name=options["name"],
            location=normalize_location(options["location"]) if options.get("location") else None,
            **{name: options.get(name) or None for name in login + others},
            ssh_public_keys=tuple(filter(None, map(str.strip, options.get("ssh_public_keys") or ()))),
            os_disk=VmDisk.from_options("os_disk", options.get("os_disk") or {}),
            data_disks=data_disks,
            network=VmNetwork.from_options(options),
            user_assigned_identities=tuple(options.get("user_assigned_identities") or ()),
            boot_diagnostics=options.get("boot_diagnostics", True),
            generalized=options.get("generalized"),
            tags=options.get("tags"),
            append_tags=options.get("append_tags", True),
            keep=tuple(options.get("keep") or ()),
        )
        request._check()
        return request

    def _check(self) -> None:
        # The network of its own gets the machine's tags, and one that says whose it is.
        check_tags(self.tags, own=1 if self.network.own else 0)
        if self.custom_data and len(self.custom_data.encode()) > _CUSTOM_DATA_LIMIT:
            raise InvalidInput(f"custom_data: Azure accepts no more than {_CUSTOM_DATA_LIMIT} bytes.")
        if self.generalized and self.power_state == "running":
            raise InvalidInput(
                "generalized: a generalized machine cannot run.",
                remedy="Set power_state to stopped or deallocated.",
            )
        wrong = [text for text in self.user_assigned_identities if not is_resource_id(text)]
        if wrong:
            raise InvalidInput(f"user_assigned_identities: {wrong[0]!r} is no resource id.")

    @property
    def custom_data_base64(self) -> str | None:
        return base64.b64encode(self.custom_data.encode()).decode() if self.custom_data else None
