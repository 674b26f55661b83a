# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What would keep a machine from booting or being set up on Azure is found; what is right is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import Finding, audit_boot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.checks import CHECKS
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import open_disk_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import SEVERITIES

from tests.guests.lab.programs import run_program
from tests.unit._disk.boot_samples import EFI_SYSTEM, fat_image, put
from tests.unit._disk.samples import MIB
from tests.unit._guest.azure_ready import (
    EARLY,
    KERNEL_LINE,
    ROOT_ID,
    VERSION,
    add_kernel,
    enable,
    initramfs,
    make_ready,
)
from tests.unit._guest.planting import write
from tests.unit._guest.test_disk_root import make_disk
from tools.checks_document import DOCUMENT, render

GRUB = f"linux /vmlinuz {KERNEL_LINE}\n"
INITRD = f"/boot/initrd.img-{VERSION}"
UNITS = "etc/systemd/system/multi-user.target.wants"

Change = Callable[[Path], None]
Found = tuple[str, str, str]


def found_in(top: Path) -> list[Found]:
    return [(item.id, item.path, item.severity) for item in audit_boot(Guest(LiveRoot(str(top))))]


def file(path: str, text: str) -> Change:
    return lambda top: write(top, path, text.encode())


def without(*paths: str) -> Change:
    def change(top: Path) -> None:
        for path in paths:
            (top / path.lstrip("/")).unlink()

    return change


def both(*changes: Change) -> Change:
    def change(top: Path) -> None:
        for single in changes:
            single(top)

    return change


def no_modules(top: Path) -> None:
    (top / f"lib/modules/{VERSION}/modules.dep").write_text("kernel/drivers/scsi/hv_storvsc.ko:\n")


def built_in(top: Path) -> None:
    names = [*EARLY, "net/hv_netvsc", "hv/hv_utils", "fs/udf"]
    lines = "".join(f"kernel/drivers/{name}.ko\n" for name in names)
    write(top, f"/lib/modules/{VERSION}/modules.builtin", lines.encode())
    write(top, INITRD, initramfs([]))


def masked(top: Path) -> None:
    (top / "etc/systemd/system/walinuxagent.service").symlink_to("/dev/null")


def no_loader(top: Path) -> None:
    loader = top / "boot/efi/EFI/BOOT/BOOTX64.EFI"
    (loader.parent.parent / "debian").mkdir()
    loader.rename(loader.parent.parent / "debian/shimx64.efi")


def static_netplan(key: str) -> str:
    return f"network:\n  ethernets:\n    eth0:\n      dhcp4: true\n{key}\n"


DEFECTS: dict[str, tuple[Change, list[Found]]] = {
    "no driver of the disk in the initramfs": (
        lambda top: write(top, INITRD, initramfs(EARLY[:1] + EARLY[2:])),
        [("azure-drivers", INITRD, "error")],
    ),
    "no NVMe in the initramfs": (
        lambda top: write(top, INITRD, initramfs(EARLY[:2])),
        [("azure-drivers", INITRD, "warning"), ("azure-drivers", INITRD, "info")],
    ),
    "damaged initramfs": (file(INITRD, "nothing"), [("azure-drivers", INITRD, "warning")]),
    "no initramfs": (without(INITRD), [("azure-drivers", f"/boot/vmlinuz-{VERSION}", "error")]),
    "older kernel without drivers": (
        lambda top: add_kernel(top, "6.1.0-9-cloud-amd64", EARLY[1:]),
        [("azure-drivers", "/boot/initrd.img-6.1.0-9-cloud-amd64", "info")],
    ),
    "kernel for something else": (
        no_modules,
        [
            ("azure-drivers", f"/boot/vmlinuz-{VERSION}", "error"),
            ("azure-drivers", f"/boot/vmlinuz-{VERSION}", "error"),
            ("azure-drivers", f"/boot/vmlinuz-{VERSION}", "warning"),
            ("azure-drivers", f"/boot/vmlinuz-{VERSION}", "warning"),
            ("azure-drivers", f"/boot/vmlinuz-{VERSION}", "info"),
        ],
    ),
    "no kernel": (without(f"boot/vmlinuz-{VERSION}"), [("azure-drivers", "/boot", "error")]),
    "driver kept from loading": (
        file(
            "/etc/modprobe.d/vm.conf", "# blacklist nvme\nblacklist hv_netvsc\ninstall hv-utils /bin/true\n"
        ),
        [
            ("azure-denied-drivers", "/etc/modprobe.d/vm.conf", "error"),
            ("azure-denied-drivers", "/etc/modprobe.d/vm.conf", "warning"),
        ],
    ),
    "no serial console": (
        file("/boot/grub/grub.cfg", GRUB.replace("console=ttyS0,115200", "rhgb quiet")),
        [
            ("azure-console", "/boot/grub/grub.cfg", "warning"),
            ("azure-console", "/boot/grub/grub.cfg", "info"),
        ],
    ),
    "root by the order of disks": (
        file("/boot/grub/grub.cfg", GRUB.replace(f"UUID={ROOT_ID}", "/dev/vda1")),
        [("azure-root-device", "/boot/grub/grub.cfg", "error")],
    ),
    "entries of the boot loader specification": (
        both(
            without("/boot/grub/grub.cfg"),
            file(
                "/boot/loader/entries/1-5.14.conf", "linux /vmlinuz\noptions $kernelopts crashkernel=auto\n"
            ),
            file(
                "/boot/grub2/grubenv", "# GRUB\nsaved_entry=1\nkernelopts=root=/dev/sda2 ro console=ttyS0\n"
            ),
        ),
        [("azure-root-device", "/boot/loader/entries/1-5.14.conf", "error")],
    ),
    "disks by their order": (
        file(
            "/etc/fstab",
            f"UUID={ROOT_ID} / ext4 defaults 0 1\n/dev/sdb1 /data xfs defaults 0 2\n"
            "/dev/nvme0n1p3 /x ext4 nofail\n/dev/disk/by-path/pci-0000:00:1f.2-ata-1 /y ext4\n"
            "/dev/sr0 /cd auto noauto\n/dev/mapper/vg-lv /z xfs\n"
            "/dev/disk/by-id/dm-name-vg-lv /w xfs\n#/dev/sdc1 /q ext4\n",
        ),
        [("azure-fstab", "/etc/fstab", severity) for severity in ("error", "error", "warning")],
    ),
    "encrypted disk by its order": (
        file("/etc/crypttab", "# x /dev/sda3\ndata /dev/sda3 none\nother UUID=1 none\n"),
        [("azure-fstab", "/etc/crypttab", "error")],
    ),
    "no fallback loader": (no_loader, [("azure-uefi-loader", "/boot/efi/EFI", "error")]),
    "resume by the order of disks": (
        file("/boot/grub/grub.cfg", GRUB.rstrip() + " resume=/dev/sda5\n"),
        [("azure-root-device", "/boot/grub/grub.cfg", "warning")],
    ),
    "network of a cloud-init that writes none any more": (
        both(
            file(
                "/etc/netplan/50-cloud-init.yaml",
                static_netplan("      match:\n        macaddress: 52:54:00:01:02:03"),
            ),
            file("/etc/cloud/cloud.cfg.d/99.cfg", "network: {config: disabled}\n"),
        ),
        [("azure-network", "/etc/netplan/50-cloud-init.yaml", "error")],
    ),
    "no fallback loader, but BIOS": (
        both(no_loader, file("/boot/grub/i386-pc/normal.mod", "x")),
        [("azure-uefi-loader", "/boot/efi/EFI", "warning")],
    ),
    "no agent": (without("usr/sbin/waagent"), [("azure-agent", "/usr/sbin/waagent", "warning")]),
    "nothing that provisions": (
        without("usr/sbin/waagent", "usr/bin/cloud-init"),
        [("azure-agent", "/usr/sbin/waagent", "error")],
    ),
    "agent not enabled": (
        without(f"{UNITS}/walinuxagent.service"),
        [("azure-agent", "/etc/systemd/system", "warning")],
    ),
    "agent masked": (masked, [("azure-agent", "/etc/systemd/system", "warning")]),
    "agent and cloud-init both": (
        file("/etc/waagent.conf", "Provisioning.Agent=waagent\n"),
        [("azure-agent", "/etc/waagent.conf", "warning")],
    ),
    "left to a cloud-init that is not there": (
        both(without("usr/bin/cloud-init"), file("/etc/waagent.conf", "Provisioning.Agent=cloud-init # x\n")),
        [("azure-agent", "/etc/waagent.conf", "error")],
    ),
    "another cloud": (
        file("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list:\n  - NoCloud\n  - OpenStack\n"),
        [("azure-cloud-init", "/etc/cloud", "error")],
    ),
    "cloud-init not enabled": (
        without("etc/systemd/system/cloud-init.target.wants/cloud-init.service"),
        [("azure-cloud-init", "/etc/systemd/system", "error")],
    ),
    "SSH not enabled": (without(f"{UNITS}/ssh.service"), [("azure-ssh", "/etc/systemd/system", "error")]),
    "no SSH server": (without("usr/sbin/sshd"), [("azure-ssh", "/usr/sbin/sshd", "warning")]),
    "sudo with the password of root": (
        file("/etc/sudoers", "# Defaults targetpw\nDefaults targetpw # as SUSE does\nALL ALL=(ALL) ALL\n"),
        [("azure-sudo", "/etc/sudoers", "warning")],
    ),
    "tools of VMware": (
        file("/usr/bin/vmtoolsd", "x"),
        [("azure-foreign-tools", "/usr/bin/vmtoolsd", "info")],
    ),
    "no clock": (without("etc/chrony/conf.d/azure.conf"), [("azure-clock", "/etc/chrony.conf", "info")]),
    "fixed address in netplan": (
        file("/etc/netplan/01.yaml", static_netplan("      addresses: [192.0.2.7/24]")),
        [("azure-network", "/etc/netplan/01.yaml", "error")],
    ),
    "MAC address in netplan": (
        file("/etc/netplan/01.yaml", static_netplan("      match:\n        macaddress: 52:54:00:01:02:03")),
        [("azure-network", "/etc/netplan/01.yaml", "error")],
    ),
    "fixed address in interfaces": (
        file(
            "/etc/network/interfaces", "iface lo inet loopback\niface ens3 inet static\n address 192.0.2.7\n"
        ),
        [("azure-network", "/etc/network/interfaces", "error")],
    ),
    "fixed and MAC address in ifcfg": (
        file(
            "/etc/sysconfig/network-scripts/ifcfg-eth0",
            'BOOTPROTO=none\nIPADDR="192.0.2.7"\nHWADDR=52:54:00:01:02:03\n',
        ),
        [("azure-network", "/etc/sysconfig/network-scripts/ifcfg-eth0", "error")] * 2,
    ),
    "fixed address in a keyfile": (
        file(
            "/etc/NetworkManager/system-connections/a.nmconnection",
            "[ipv4]\naddress1=192.0.2.7/24\nmethod=manual\n",
        ),
        [("azure-network", "/etc/NetworkManager/system-connections/a.nmconnection", "error")],
    ),
    "fixed address in networkd": (
        file("/etc/systemd/network/10.network", "[Match]\nName=e*\n[Network]\nAddress=192.0.2.7/24\n"),
        [("azure-network", "/etc/systemd/network/10.network", "error")],
    ),
    "no DHCP": (
        both(
            file("/etc/network/interfaces", "iface lo inet loopback\n"),
            file("/etc/cloud/cloud.cfg.d/99.cfg", "network: {config: disabled}\n"),
        ),
        [("azure-network", "/etc", "error")],
    ),
}

FINE: dict[str, Change] = {
    "as made": lambda _top: None,
    "agent alone": both(
        without("usr/bin/cloud-init"), file("/etc/waagent.conf", "Provisioning.Agent=auto\n")
    ),
    "drivers built in": built_in,
    "other units of the agent": both(
        without(f"{UNITS}/walinuxagent.service"), lambda top: enable(top, "waagent.service")
    ),
    "several data sources": file(
        "/etc/cloud/cloud.cfg.d/95.cfg", "datasource_list: [ NoCloud, 'Azure' ] # x\n"
    ),
    "name servers in netplan": file(
        "/etc/netplan/01.yaml", static_netplan("      nameservers:\n        addresses: [192.0.2.53]")
    ),
    "network that cloud-init wrote for this machine": both(
        file(
            "/etc/netplan/50-cloud-init.yaml",
            static_netplan("      match:\n        macaddress: 52:54:00:01:02:03"),
        ),
        file(
            "/etc/sysconfig/network-scripts/ifcfg-eth0",
            "# Created by cloud-init automatically, do not edit.\nBOOTPROTO=dhcp\nHWADDR=52:54:00:01:02:03\n",
        ),
    ),
    "Flatcar": both(
        file("/etc/os-release", "ID=flatcar\nID_LIKE=coreos\n"),
        without(f"boot/vmlinuz-{VERSION}", "usr/sbin/waagent"),
    ),
    "SUSE's rule overruled": both(
        file("/usr/etc/sudoers", "Defaults targetpw\n"), file("/etc/sudoers", "Defaults env_reset\n")
    ),
    "variables of GRUB": both(
        file(
            "/boot/grub/grub.cfg",
            f"set rootdevice=UUID={ROOT_ID}\n linux /$linux $cmdline $x root=$rootdevice $vt_handoff\n",
        ),
        file("/boot/mariner.cfg", "linux=vmlinuz\ncmdline=ro console=ttyS0\n"),
    ),
    "rescue kernel": lambda top: write(top, "/boot/vmlinuz-0-rescue-0123456789abcdef", b"x"),
}


@pytest.mark.parametrize("name", FINE)
def test_machine_that_is_ready_has_no_findings(name: str, tmp_path: Path) -> None:
    top = make_ready(tmp_path / "root")
    FINE[name](top)
    assert found_in(top) == []


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_found_and_nothing_else(name: str, tmp_path: Path) -> None:
    change, expected = DEFECTS[name]
    top = make_ready(tmp_path / "root")
    change(top)
    assert found_in(top) == expected


def test_every_check_has_a_defect_that_it_finds() -> None:
    assert {found[0] for _change, expected in DEFECTS.values() for found in expected} == {
        c.id for c in CHECKS
    }
    for check in CHECKS:
        assert check.id.startswith("azure-")
        assert check.reason.endswith(".")
        assert check.severity in SEVERITIES


def test_document_is_what_the_checks_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run make docs"


def test_waived_checks_are_not_made(tmp_path: Path) -> None:
    top = make_ready(tmp_path / "root")
    (top / "usr/sbin/waagent").unlink()
    assert audit_boot(Guest(LiveRoot(str(top))), ["azure-agent"]) == []


def findings_on(disk: Path) -> list[Finding]:
    with open_disk(str(disk)) as reader:
        return audit_boot(Guest(open_disk_root(reader)))


def test_disk_and_tree_are_judged_alike(tmp_path: Path) -> None:
    top = make_ready(tmp_path / "root")
    # The ids are those of another disk, which only the disk itself shows.
    write(top, "/etc/fstab", b"LABEL=part0 / ext4 defaults 0 1\n")
    write(top, "/boot/grub/grub.cfg", GRUB.replace(f"UUID={ROOT_ID}", "LABEL=part0").encode())
    assert findings_on(make_disk(tmp_path / "ready.raw", [top])) == []
    without(INITRD)(top)
    write(top, "/etc/netplan/01.yaml", static_netplan("      addresses: [192.0.2.7/24]").encode())
    assert findings_on(make_disk(tmp_path / "disk.raw", [top])) == audit_boot(Guest(LiveRoot(str(top))))


def test_ids_of_another_disk_are_found_on_the_disk(tmp_path: Path) -> None:
    top = make_ready(tmp_path / "root")
    mounts = (
        f"UUID={ROOT_ID} / ext4 defaults 0 1\nLABEL=gone /data ext4 defaults\nLABEL=gone /x ext4 nofail\n"
    )
    write(top, "/etc/fstab", mounts.encode())
    found = [
        (item.id, item.path, item.severity) for item in findings_on(make_disk(tmp_path / "disk.raw", [top]))
    ]
    assert found == [
        ("azure-fstab", "/etc/fstab", "error"),
        ("azure-root-device", "/boot/grub/grub.cfg", "error"),
        ("azure-fstab", "/etc/fstab", "warning"),
    ]


def test_systemd_boot_with_everything_on_the_efi_partition_is_read(tmp_path: Path) -> None:
    top = make_ready(tmp_path / "root")
    for path in (
        f"boot/vmlinuz-{VERSION}",
        INITRD[1:],
        "boot/grub/grub.cfg",
        "boot/efi/EFI/BOOT/BOOTX64.EFI",
    ):
        (top / path).unlink()
    write(top, "/etc/fstab", b"LABEL=root / ext4 defaults 0 1\n")
    entry = "title Debian\nlinux /0123/{0}/linux\ninitrd /0123/{0}/initrd\noptions root={1} console=ttyS0\n"
    esp = {
        f"0123/{VERSION}/linux": b"kernel",
        # More than is read at once, so that reading goes on at an offset.
        f"0123/{VERSION}/initrd": initramfs(EARLY[1:], filling=3 * MIB),
        f"loader/entries/0123-{VERSION}.conf": entry.format(VERSION, "LABEL=root").encode(),
        "EFI/systemd/systemd-bootx64.efi": b"MZ",
    }
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(100 * MIB)
    script = f"label: gpt\nstart=1MiB, size=40MiB, type={EFI_SYSTEM}\nstart=42MiB, size=24MiB\n"
    run_program(["sfdisk", "--quiet", str(disk)], stdin=script)
    put(disk, fat_image(tmp_path / "esp", 40 * MIB, esp), MIB)
    offset = f"offset={42 * MIB},root_owner=0:0"
    run_program(["mke2fs", "-q", "-F", "-L", "root", "-d", str(top), "-E", offset, str(disk), "24M"])
    found = [(item.id, item.path, item.severity, item.detail) for item in findings_on(disk)]
    assert found == [
        ("azure-drivers", f"/boot/efi/0123/{VERSION}/initrd", "error", "lacks driver hv_vmbus"),
        ("azure-uefi-loader", "/boot/efi/EFI", "error", "no BOOT/BOOTX64.EFI"),
    ]


@pytest.mark.parametrize(
    ("drivers", "found"),
    [(EARLY, []), (EARLY[1:], ["lacks driver hv_vmbus"])],
    ids=["complete", "incomplete"],
)
def test_kernel_that_is_named_by_its_content_is_found_through_its_entry(
    drivers: list[str], found: list[str], tmp_path: Path
) -> None:
    top = make_ready(tmp_path / "root")
    for path in (f"boot/vmlinuz-{VERSION}", INITRD[1:], "boot/grub/grub.cfg"):
        (top / path).unlink()
    folder = f"/opensuse-tumbleweed/{VERSION}"
    image, packed = (f"{folder}/{name}-{'0a' * 20}" for name in ("linux", "initrd"))
    write(top, "/boot/efi" + image, b"kernel")
    write(top, "/boot/efi" + packed, initramfs(drivers))
    entry = f"title openSUSE\nlinux {image}\ninitrd {packed}\noptions {KERNEL_LINE}\n"
    write(top, "/boot/efi/loader/entries/opensuse-1.conf", entry.encode())
    items = audit_boot(Guest(LiveRoot(str(top))))
    assert [item.detail for item in items] == found
    assert {item.path for item in items} <= {"/boot/efi" + packed}
