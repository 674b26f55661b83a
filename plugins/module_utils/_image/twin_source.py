# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Reads the machine that a twin is made of, and finds everything that speaks against making one.

The source is only ever read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import COMPUTE_API, DISK_API
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.locks import (
    forbidding,
    locks_in_subscription,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.quotas import (
    Shortfall,
    cores_of,
    disks_wanted,
    shortfalls,
    snapshots_wanted,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    parse_resource_id,
    resource_group_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.rights import missing_actions
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import in_transition
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import (
    CRASH,
    RESTORE_POINT,
    SNAPSHOTS,
    TwinRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_network import NETWORK_API
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import read_state

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# Kinds of disks of which Azure makes incremental snapshots only, and no restore points.
INCREMENTAL_ONLY = ("UltraSSD_LRS", "PremiumV2_LRS")
_NOT_WRITTEN_YET = ("ReadyToUpload", "ActiveUpload")
_ACTIONS = (
    "Microsoft.Resources/subscriptions/resourceGroups/write",
    "Microsoft.Resources/subscriptions/resourceGroups/delete",
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Compute/disks/write",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Network/networkSecurityGroups/write",
)
_ACTIONS_OF_METHOD = {
    RESTORE_POINT: (
        "Microsoft.Compute/restorePointCollections/write",
        "Microsoft.Compute/restorePointCollections/restorePoints/write",
    ),
    SNAPSHOTS: ("Microsoft.Compute/snapshots/write",),
}


class SourceDisk(NamedTuple):
    """A disk as the machine has it (a member of its storageProfile) and the managed disk itself.

    ``lun`` None: the operating system disk. ``disk`` is empty where there is no managed disk.
    """

    lun: int | None
    attachment: Mapping[str, Any]
    disk: Mapping[str, Any]

    @property
    def label(self) -> str:
        return "the system disk" if self.lun is None else f"the data disk at LUN {self.lun}"

    @property
    def ending(self) -> str:
        """What the names of the disk's copies end with."""
        return "os" if self.lun is None else f"data-{self.lun}"

    @property
    def sku(self) -> str:
        return str((self.disk.get("sku") or {}).get("name", ""))

    @property
    def properties(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.disk.get("properties") or {}
        return found


class SourceMachine(NamedTuple):
    """The machine in wire shape with its instance view, and its disks, the operating system's first."""

    machine: Mapping[str, Any]
    disks: tuple[SourceDisk, ...]

    @property
    def properties(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.machine["properties"]
        return found

    @property
    def place(self) -> dict[str, Any]:
        """Where the twin's resources go: location, and extendedLocation in an edge zone."""
        edge = self.machine.get("extendedLocation")
        return {"location": self.machine["location"], **({"extendedLocation": edge} if edge else {})}

    @property
    def is_running(self) -> bool:
        return read_state(self.machine).power not in ("stopped", "deallocated")

    def method(self, request: TwinRequest) -> str:
        """What the disks allow where the request leaves it open: restore_point or snapshots."""
        if request.method:
            return request.method
        return SNAPSHOTS if any(disk.sku in INCREMENTAL_ONLY for disk in self.disks) else RESTORE_POINT


def read_machine(session: AzureSession, machine_id: str) -> dict[str, Any] | None:
    """The virtual machine with its instance view; None when there is none."""
    try:
        return session.arm.get(machine_id, COMPUTE_API, **{"$expand": "instanceView"})
    except NotFound:
        return None


def read_disks(session: AzureSession, machine: Mapping[str, Any]) -> SourceMachine:
    """The machine with its managed disks, which are read at the same time."""
    storage = machine["properties"].get("storageProfile") or {}
    attachments: list[tuple[int | None, Mapping[str, Any]]] = [(None, storage.get("osDisk") or {})]
    attachments += [(int(disk["lun"]), disk) for disk in storage.get("dataDisks") or []]

    def read(item: tuple[int | None, Mapping[str, Any]]) -> SourceDisk:
        lun, attachment = item
        disk_id = (attachment.get("managedDisk") or {}).get("id")
        return SourceDisk(lun, attachment, (session.arm.get(disk_id, DISK_API) if disk_id else None) or {})

    return SourceMachine(machine, tuple(in_parallel(read, attachments)))


def findings_about(
    session: AzureSession, request: TwinRequest, source: SourceMachine, *, goes_on: bool = False
) -> list[Finding]:
    """Everything that speaks against a twin of this source by this identity; only reads.

    `goes_on`: some of it is there already, and counted in the quotas' use.
    """
    group_id = resource_group_id(session.subscription_id, request.group)
    wanted = [*_ACTIONS, *_ACTIONS_OF_METHOD[source.method(request)]]
    if request.network.own:
        wanted.append("Microsoft.Network/virtualNetworks/write")
    if request.network.public_ip:
        wanted.append("Microsoft.Network/publicIPAddresses/write")
    scope = f"/subscriptions/{session.subscription_id}"
    location = normalize_location(source.machine["location"])
    with ThreadPoolExecutor() as pool:
        asked_rights = pool.submit(missing_actions, session, scope, wanted)
        asked_locks = pool.submit(locks_in_subscription, session)
        asked_quotas = pool.submit(_shortfalls, session, request, source, goes_on=goes_on)
        about_subnet = list(_about_subnet(session, request, source))
    missing, locks = asked_rights.result(), asked_locks.result()
    found = [*findings_about_machine(request, source), *about_subnet]
    lock = forbidding(locks, group_id, deleting=True)
    if lock is not None:
        found.append(
            Finding(
                "lock",
                f"lock {lock.name} ({lock.level}) on {lock.scope} forbids to make the twin, or to remove it.",
                group_id,
                "Remove the lock, or make the twin where there is none.",
            )
        )
    found += [
        Finding(
            "missing-right", f"{action} is not granted.", scope, "Give the signed-in identity that right."
        )
        for action in missing
    ]
    found += [
        Finding("quota", f"{each}.", location, "Delete what is not needed, or ask for a higher quota.")
        for each in asked_quotas.result()
    ]
    return found


def _shortfalls(
    session: AzureSession, request: TwinRequest, source: SourceMachine, *, goes_on: bool
) -> list[Shortfall]:
    """The quotas that are too small for the twin, apart from those of families of sizes."""
    if goes_on:
        return []
    location = normalize_location(source.machine["location"])
    counted = {**disks_wanted(disk.sku for disk in source.disks), "virtualMachines": 1}
    if source.method(request) == SNAPSHOTS:
        counted.update(snapshots_wanted(len(source.disks)))
    size = request.size or str((source.properties.get("hardwareProfile") or {}).get("vmSize"))
    return shortfalls(session, location, {**counted, "cores": cores_of(session, location, size)})


def findings_about_machine(request: TwinRequest, source: SourceMachine) -> Iterator[Finding]:
    """What speaks against a twin by the machine and its disks alone."""
    where = f"source_vm {request.source_name}"
    state = read_state(source.machine)
    if in_transition(dict(source.machine)) and state.provisioning.casefold() != "updating":
        yield Finding(
            "source-in-transition",
            f"it is in state {state.provisioning}.",
            where,
            "Wait until that has ended.",
        )
    if state.generalized:
        yield Finding(
            "source-generalized",
            "it is marked generalized, a twin of it would not start as it is.",
            where,
            "Capture it in place: nothing of it has to be spared any more.",
        )
    for disk in source.disks:
        yield from _about_disk(request, source, disk, f"{where}, {disk.label}")


def _about_disk(
    request: TwinRequest, source: SourceMachine, disk: SourceDisk, where: str
) -> Iterator[Finding]:
    if disk.attachment.get("diffDiskSettings"):
        yield Finding(
            "ephemeral-disk",
            "it is ephemeral, Azure makes no copies of such disks.",
            where,
            "Use another machine.",
        )
        return
    if not disk.disk:
        unmanaged = bool(disk.attachment.get("vhd"))
        yield Finding(
            "unmanaged-disk" if unmanaged else "missing-disk",
            "it is a blob of a storage account." if unmanaged else "its managed disk is not there.",
            where,
            "Convert the machine to managed disks (az vm convert)." if unmanaged else "Detach it first.",
        )
        return
    if int(disk.properties.get("maxShares") or 1) > 1:
        yield Finding(
            "shared-disk",
            "it is shared between machines, a copy of it holds what all of them were writing.",
            where,
            "Detach it first, or set its maxShares to 1.",
        )
    if disk.properties.get("diskState") in _NOT_WRITTEN_YET:
        yield Finding(
            "disk-in-upload", "its upload has not been completed.", where, "Complete the upload first."
        )
    if source.method(request) == RESTORE_POINT and disk.sku in INCREMENTAL_ONLY:
        yield Finding(
            "no-restore-point",
            f"Azure makes no restore points of {disk.sku} disks.",
            where,
            "Leave out method, or set it to snapshots.",
        )
    elif disk.sku in INCREMENTAL_ONLY and request.consistency != CRASH:
        yield Finding(
            "no-consistency",
            f"of {disk.sku} disks there are snapshots only, which are not {request.consistency} consistent.",
            where,
            "Leave out consistency.",
        )


def _about_subnet(session: AzureSession, request: TwinRequest, source: SourceMachine) -> Iterator[Finding]:
    subnet = request.network.subnet
    if not subnet:
        return
    network_id = subnet.rpartition("/subnets/")[0]
    if parse_resource_id(subnet).resource_type.casefold() != "microsoft.network/virtualnetworks/subnets":
        yield Finding("subnet", f"{subnet} is no subnet.", "subnet", "Give the id of a subnet.")
        return
    network, found = in_parallel(lambda part: _read_network(session, part), (network_id, subnet))
    if network is None or found is None:
        yield Finding("subnet", f"{subnet} is not there.", "subnet", "Check the id.")
    elif normalize_location(network["location"]) != normalize_location(source.machine["location"]):
        yield Finding(
            "subnet",
            f"{subnet} is in region {network['location']}, the machine in {source.machine['location']}.",
            "subnet",
            "Give a subnet of the machine's region.",
        )


def _read_network(session: AzureSession, part: str) -> dict[str, Any] | None:
    try:
        return session.arm.get(part, NETWORK_API)
    except NotFound:
        return None
