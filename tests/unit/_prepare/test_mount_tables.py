# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Tables name disks by what is on them, and all else in them stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import diff_of, make_changes
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.device_ids import (
    DeviceIds,
    is_unstable,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.mount_tables import (
    Tables,
    plan_tables,
)

from tests.unit._prepare.host import Host, blkid

DEVICES = {
    "/dev/sda1": {"UUID": "1111-aaaa", "TYPE": "ext4", "PART_ENTRY_UUID": "p-1"},
    "/dev/sda5": {"UUID": "5555-eeee", "TYPE": "swap", "PART_ENTRY_UUID": "p-5"},
    "/dev/sdb1": {"UUID": "bbbb-1111", "TYPE": "crypto_LUKS", "PART_ENTRY_UUID": "p-b1"},
    "/dev/sdb2": {"PART_ENTRY_UUID": "p-b2"},
    "/dev/disk/by-path/pci-0000:00:05.0-scsi-0:0:1:0": {"UUID": "2222-bbbb", "TYPE": "xfs"},
}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, {"blkid": blkid(DEVICES)})


def planned(host: Host) -> Tables:
    return plan_tables(host.root, DeviceIds(host))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "/dev/sda1",
            "/dev/vda",
            "/dev/xvdf1",
            "/dev/nvme0n1p2",
            "/dev/hda3",
            "/dev/mmcblk0p1",
            "/dev/md127",
        ),
        *("/dev/disk/by-path/pci-0", "/dev/disk/by-id/scsi-0QEMU_disk", "/dev/disk/by-diskseq/1"),
    ],
)
def test_names_that_depend_on_controllers_are_unstable(name: str) -> None:
    assert is_unstable(name)


@pytest.mark.parametrize(
    "name",
    [
        *("UUID=1", "LABEL=root", "PARTUUID=2", "tmpfs", "server:/export", "//server/share", "/swapfile"),
        *(
            "/dev/mapper/vg-root",
            "/dev/vg0/root",
            "/dev/md/data",
            "/dev/disk/by-uuid/1",
            "/dev/disk/by-label/x",
        ),
        *(
            "/dev/disk/by-id/dm-name-vg-root",
            "/dev/disk/azure/root",
            "/dev/sda-volumes/home",
            "/dev/zvol/pool/a",
        ),
    ],
)
def test_names_by_content_are_stable(name: str) -> None:
    assert not is_unstable(name)


def test_fstab_gets_ids_and_keeps_its_columns_and_comments(host: Host) -> None:
    host.write(
        "/etc/fstab",
        "# /dev/sda1 was here\n"
        "/dev/sda1       /       ext4  errors=remount-ro 0 1\n"
        "/dev/sda5\tnone\tswap\tsw\t0\t0\n"
        "\n"
        "/dev/mapper/vg-home /home xfs defaults 0 2\n"
        "/dev/disk/by-path/pci-0000:00:05.0-scsi-0:0:1:0 /data xfs defaults\n"
        "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0",
    )
    make_changes(host.root, planned(host).changes)
    assert host.read("/etc/fstab") == (
        "# /dev/sda1 was here\n"
        "UUID=1111-aaaa  /       ext4  errors=remount-ro 0 1\n"
        "UUID=5555-eeee\tnone\tswap\tsw\t0\t0\n"
        "\n"
        "/dev/mapper/vg-home /home xfs defaults 0 2\n"
        "UUID=2222-bbbb                                  /data xfs defaults\n"
        "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0"
    )
    assert planned(host) == Tables([], [])


def test_partition_without_a_uuid_in_it_is_named_by_its_own(host: Host) -> None:
    host.write("/etc/fstab", "/dev/sdb2 /raw auto defaults 0 0\n")
    assert planned(host).changes[0].after == "PARTUUID=p-b2 /raw auto defaults 0 0\n"


def test_every_line_the_boot_would_wait_for_is_named_and_nothing_is_planned(host: Host) -> None:
    host.write("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n/dev/sdx1 /x ext4 defaults 0 0\n")
    host.write("/etc/crypttab", "lost /dev/sdy1 none luks\n")
    with pytest.raises(GuestError) as caught:
        planned(host)
    assert "/etc/fstab line 2: /dev/sdx1" in str(caught.value)
    assert "/etc/crypttab line 1: /dev/sdy1" in str(caught.value)
    assert "Nothing was changed" in str(caught.value)


@pytest.mark.parametrize("option", ["nofail", "noauto"])
def test_lost_device_that_boot_does_not_need_is_a_warning(host: Host, option: str) -> None:
    line = f"/dev/sdx1 /x ext4 defaults,{option} 0 0\n"
    host.write("/etc/fstab", line)
    result = planned(host)
    assert result.changes == []
    assert "line 1: /dev/sdx1" in result.warnings[0]


def test_drive_for_media_without_nofail_is_a_warning(host: Host) -> None:
    host.write("/etc/fstab", "/dev/cdrom /media iso9660 ro 0 0\n")
    assert "need not hold a medium" in planned(host).warnings[0]


def test_crypttab_names_luks_by_its_uuid(host: Host) -> None:
    host.write("/etc/crypttab", "# name device key\ndata /dev/sdb1 none luks,discard\n")
    assert planned(host).changes[0].after == "# name device key\ndata UUID=bbbb-1111 none luks,discard\n"


@pytest.mark.parametrize("rest", ["/dev/urandom swap,cipher=aes", "none plain", "/dev/random tmp=ext4"])
def test_encrypted_device_made_anew_at_boot_is_named_by_its_partition(host: Host, rest: str) -> None:
    # Its UUID would be that of an earlier boot.
    host.write("/etc/crypttab", f"cswap /dev/sda5 {rest}\n")
    assert planned(host).changes[0].after == f"cswap PARTUUID=p-5 {rest}\n"


def test_resume_device_of_initramfs_tools_goes_by_id(host: Host) -> None:
    host.write("/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/sda5\n")
    assert planned(host).changes[0].after == "RESUME=UUID=5555-eeee\n"


def test_resume_device_that_is_lost_is_left_to_initramfs_tools(host: Host) -> None:
    host.write("/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/sdz5\n")
    assert planned(host).changes[0].after == "RESUME=auto\n"


def test_missing_blkid_is_said(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n")
    with pytest.raises(GuestError, match="blkid is not installed"):
        planned(host)


def test_passwords_in_a_table_are_not_shown(host: Host) -> None:
    share = "//nas/share /srv cifs username=web,password=s3cr3t,vers=3 0 0\n"
    host.write("/etc/fstab", f"/dev/sda1 / ext4 defaults 0 1\n{share}")
    changes = planned(host).changes
    shown = str(diff_of(changes))
    assert "s3cr3t" not in shown
    assert "username=web,password=(not shown),vers=3" in shown
    make_changes(host.root, changes)
    assert host.read("/etc/fstab") == f"UUID=1111-aaaa / ext4 defaults 0 1\n{share}"
