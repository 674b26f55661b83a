# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Sizes of virtual machines: a small selection of Azure's, with the facts that rules depend on."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.local_azure.store import Json

Generation = Literal["V1", "V2"]


@dataclass(frozen=True)
class Series:
    """What all sizes of a family have in common; `controllers` is "SCSI", "NVMe" or both."""

    family: str
    generations: tuple[Generation, ...] = ("V1", "V2")
    architecture: Literal["x64", "Arm64"] = "x64"
    premium: bool = True
    ephemeral: bool = False
    trusted_launch: bool = True
    confidential: bool = False
    controllers: tuple[str, ...] = ("SCSI",)
    accelerated: bool = True
    ultra: bool = False
    hibernation: bool = False
    #: Not offered to this subscription, as with many large or rare sizes.
    restricted: bool = False


@dataclass(frozen=True)
class VmSize:
    """`memory_mb` and `resource_disk_mb` in MiB; no resource disk is 0."""

    name: str
    cores: int
    memory_mb: int
    resource_disk_mb: int
    data_disks: int
    series: Series = field(repr=False)

    def body(self) -> Json:
        """As `vmSizes` lists it. 1047552 MiB is the largest disk for an operating system."""
        return {
            "name": self.name,
            "numberOfCores": self.cores,
            "osDiskSizeInMB": 1047552,
            "resourceDiskSizeInMB": self.resource_disk_mb,
            "memoryInMB": self.memory_mb,
            "maxDataDiskCount": self.data_disks,
        }


# Names, cores, memory in MiB, resource disk in MiB, data disks.
_SIZES: Mapping[Series, str] = {
    Series("standardBSFamily", accelerated=False): """
        B1ls 1 512 4096 2, B1s 1 1024 4096 2, B1ms 1 2048 4096 2, B2s 2 4096 8192 4, B2ms 2 8192 16384 4,
        B4ms 4 16384 32768 8, B8ms 8 32768 65536 16""",
    Series("standardBsv2Family"): "B2ts_v2 2 1024 0 4, B2s_v2 2 8192 0 4, B4s_v2 4 16384 0 8",
    Series(
        "standardBpsv2Family", ("V2",), "Arm64", trusted_launch=False
    ): "B2pts_v2 2 1024 0 4, B2ps_v2 2 8192 0 4",
    Series("standardA0_A7Family", ("V1",), premium=False, trusted_launch=False, accelerated=False): """
        A0 1 768 20480 1, A1 1 1792 71680 2, A2 2 3584 138240 4, A3 4 7168 291840 8""",
    Series("standardAv2Family", ("V1",), premium=False, trusted_launch=False, accelerated=False): """
        A1_v2 1 2048 10240 2, A2_v2 2 4096 20480 4, A4_v2 4 8192 40960 8""",
    Series("standardDFamily", ("V1",), premium=False, trusted_launch=False, accelerated=False): """
        D1 1 3584 51200 4, D2 2 7168 102400 8, D3 4 14336 204800 16""",
    Series("standardDv2Family", ("V1",), premium=False, trusted_launch=False): """
        D1_v2 1 3584 51200 4, D2_v2 2 7168 102400 8, D3_v2 4 14336 204800 16, D4_v2 8 28672 409600 32,
        D5_v2 16 57344 819200 64, D11_v2 2 14336 102400 8""",
    Series("standardDSv2Family", ephemeral=True): """
        DS1_v2 1 3584 7168 4, DS2_v2 2 7168 14336 8, DS3_v2 4 14336 28672 16, DS4_v2 8 28672 57344 32,
        DS5_v2 16 57344 114688 64, DS11_v2 2 14336 28672 8""",
    Series("standardDSv3Family", ephemeral=True, ultra=True): """
        D2s_v3 2 8192 16384 4, D4s_v3 4 16384 32768 8, D8s_v3 8 32768 65536 16""",
    Series(
        "standardDDSv4Family", ephemeral=True, ultra=True
    ): "D2ds_v4 2 8192 76800 4, D4ds_v4 4 16384 153600 8",
    Series("standardDSv5Family", ultra=True, hibernation=True): """
        D2s_v5 2 8192 0 4, D4s_v5 4 16384 0 8, D8s_v5 8 32768 0 16, D16s_v5 16 65536 0 32""",
    Series("standardDDSv5Family", ephemeral=True, ultra=True, hibernation=True): """
        D2ds_v5 2 8192 76800 4, D4ds_v5 4 16384 153600 8, D8ds_v5 8 32768 307200 16""",
    Series("standardDPSv5Family", ("V2",), "Arm64", ultra=True, trusted_launch=False): """
        D2ps_v5 2 8192 0 4, D4ps_v5 4 16384 0 8, D8ps_v5 8 32768 0 16""",
    Series("StandardDsv6Family", ("V2",), ultra=True, controllers=("NVMe",)): """
        D2s_v6 2 8192 0 8, D4s_v6 4 16384 0 12, D8s_v6 8 32768 0 24""",
    Series("standardDCASv5Family", ("V2",), confidential=True, accelerated=False): """
        DC2as_v5 2 8192 0 4, DC4as_v5 4 16384 0 8""",
    Series("standardESv5Family", ultra=True, hibernation=True): "E2s_v5 2 16384 0 4, E4s_v5 4 32768 0 8",
    Series("standardEBDSv5Family", ephemeral=True, ultra=True, controllers=("SCSI", "NVMe")): """
        E2bds_v5 2 16384 76800 4, E4bds_v5 4 32768 153600 8""",
    Series("standardFSFamily", ephemeral=True): "F1s 1 2048 4096 4, F2s 2 4096 8192 8, F4s 4 8192 16384 16",
    Series("standardFSv2Family", ephemeral=True, ultra=True): "F2s_v2 2 4096 16384 4, F4s_v2 4 8192 32768 8",
    Series(
        "standardMSFamily", ultra=True, restricted=True
    ): "M8ms 8 223232 256000 8, M64s 64 1024000 2048000 64",
}


@functools.cache
def vm_sizes() -> Mapping[str, VmSize]:
    """By name in lower case."""
    found = {}
    for series, text in _SIZES.items():
        for row in text.split(","):
            name, *numbers = row.split()
            cores, memory, disk, data_disks = map(int, numbers)
            found[f"standard_{name}".lower()] = VmSize(
                f"Standard_{name}", cores, memory, disk, data_disks, series
            )
    return found


def find_vm_size(name: str) -> VmSize | None:
    """The size with that name in any case; None for one that is not offered here."""
    return vm_sizes().get(name.lower())
