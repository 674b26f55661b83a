# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A virtual machine as the local Azure's platform describes it to the host of its guest."""

from __future__ import annotations

from typing import Any

from tests.guests.lab.machine import free_port
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.guests_host import GuestSpec

INSTANCE: dict[str, Any] = {
    "compute": {"name": "vm1", "osProfile": {"adminUsername": "azureuser", "computerName": "web01"}},
    "network": {
        "interface": [
            {
                "ipv4": {
                    "ipAddress": [{"privateIpAddress": "10.0.0.4", "publicIpAddress": "127.64.0.9"}],
                    "subnet": [{"address": "10.0.0.0", "prefix": "24"}],
                },
                "ipv6": {"ipAddress": []},
                "macAddress": "000D3A010203",
            }
        ]
    },
}
VM1 = "11111111-1111-4111-8111-111111111111"
VM2 = "22222222-2222-4222-8222-222222222222"


def spec_of(disk: BlobAddress, key: str = VM1, **changes: Any) -> GuestSpec:
    spec = GuestSpec(
        key=key,
        name="vm1",
        computer_name="web01",
        admin_username="azureuser",
        ssh_public_keys=(("/home/azureuser/.ssh/authorized_keys", "ssh-ed25519 AAAA key"),),
        password_authentication=False,
        custom_data=None,
        admin_password=None,
        os_disk=disk,
        data_disks=(),
        generation="V1",
        address="127.64.0.9",
        ssh_port=free_port("127.64.0.9"),
        private_address="10.0.0.4",
        subnet="10.0.0.0/24",
        mac="00:0d:3a:01:02:03",
        location="westeurope",
        instance=INSTANCE,
        provision=False,
    )
    return spec._replace(**changes)
