# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""NoCloud seeds: what tells cloud-init in a guest who it is, as a small FAT volume labelled CIDATA.

The format is cloud-init's NoCloud data source (documentation page "datasources/nocloud").
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.guests.lab.programs import run_program

_KIBIBYTES = 1024


def seed_files(
    *,
    instance_id: str,
    hostname: str,
    user: str | None = None,
    ssh_public_keys: Sequence[str] = (),
    password_hash: str | None = None,
    custom_data: str | None = None,
) -> dict[str, str]:
    """The seed's files by name.

    The account goes into the vendor data and `custom_data` (any user data cloud-init takes) is the user data
    unchanged, as on Azure, where the account comes from the platform and the custom data from the user.
    `password_hash` is a crypt(3) string.
    """
    vendor: dict[str, Any] = {}
    if user is not None:
        account: dict[str, Any] = {
            "name": user,
            "groups": ["sudo"],
            "shell": "/bin/bash",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "lock_passwd": password_hash is None,
            "ssh_authorized_keys": list(ssh_public_keys),
        }
        if password_hash is not None:
            account["passwd"] = password_hash
            vendor["ssh_pwauth"] = True
        vendor["users"] = [account]
    ethernet = {"match": {"name": "e*"}, "dhcp4": True}
    # JSON is YAML: nothing needs quoting by hand.
    return {
        "meta-data": json.dumps({"instance-id": instance_id, "local-hostname": hostname}) + "\n",
        "vendor-data": "#cloud-config\n" + json.dumps(vendor) + "\n",
        "user-data": custom_data if custom_data else "#cloud-config\n{}\n",
        "network-config": json.dumps({"version": 2, "ethernets": {"eth0": ethernet}}) + "\n",
    }


def write_nocloud_seed(
    path: Path,
    *,
    instance_id: str,
    hostname: str,
    user: str | None = None,
    ssh_public_keys: Sequence[str] = (),
    password_hash: str | None = None,
    custom_data: str | None = None,
) -> None:
    """Write the seed as a raw FAT image at `path`, replacing what is there; arguments as in `seed_files`.

    Without `user` the guest keeps the accounts it has and no new one is made.
    """
    files = seed_files(
        instance_id=instance_id,
        hostname=hostname,
        user=user,
        ssh_public_keys=ssh_public_keys,
        password_hash=password_hash,
        custom_data=custom_data,
    )
    size = _KIBIBYTES + 2 * sum(len(text.encode()) for text in files.values()) // 1024
    path.unlink(missing_ok=True)
    run_program(["mkfs.vfat", "-C", "-n", "CIDATA", str(path), str(size)])
    with tempfile.TemporaryDirectory(prefix="seed-") as directory:
        for name, text in files.items():
            (Path(directory) / name).write_text(text)
        run_program(["mcopy", "-i", str(path), *(f"{directory}/{name}" for name in files), "::"])
