# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Drivers get into every initramfs, and are seen there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import make_changes
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.initramfs import Drivers
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.kernels import (
    installed_kernels,
    module_name,
)

from tests.unit._guest.azure_ready import initramfs
from tests.unit._prepare.host import Host

REQUIRED = ["hv_vmbus", "hv_storvsc"]
WANTED = ["nvme", "pci-hyperv"]
ALL = {"hv_vmbus", "hv_storvsc", "nvme", "pci-hyperv"}


def add_kernel(host: Host, version: str, modules: set[str], built_in: Sequence[str] = ("hv_vmbus",)) -> None:
    """Install a kernel with these modules beside those that are part of it."""
    base = f"/usr/lib/modules/{version}"
    lines = [f"kernel/drivers/{name}.ko.xz: kernel/lib/a.ko\n" for name in sorted(modules - set(built_in))]
    host.write(base + "/modules.dep", "".join(lines))
    host.write(base + "/modules.builtin", "".join(f"kernel/drivers/{name}.ko\n" for name in built_in))
    host.write(f"/boot/vmlinuz-{version}", "")


def listing(host: Host, arguments: Sequence[str]) -> str:
    names = host.read(arguments[1]).split()
    # Both programs' ways to show a file.
    return "".join(
        f"-rw-r--r--   1 root root  9 Jan  1 00:00 usr/lib/modules/1/{name}.ko.zst\n" for name in names
    )


def debian(top: Path, leaves_out: str = "") -> Host:
    host = Host(top)

    def update(arguments: Sequence[str]) -> str:
        lines = host.read("/etc/initramfs-tools/modules").splitlines()
        names = [line for line in lines if line and not line.startswith("#") and line != leaves_out]
        host.write(f"/boot/initrd.img-{arguments[-1]}", " ".join(["ext4", *names]))
        return ""

    host.programs = {
        "update-initramfs": update,
        "mkinitramfs": lambda _arguments: "",
        "lsinitramfs": lambda arguments: listing(host, arguments),
    }
    host.write("/etc/initramfs-tools/modules", "# List of modules\nnvme")
    return host


def red_hat(top: Path, leaves_out: str = "") -> Host:
    host = Host(top)

    def dracut(arguments: Sequence[str]) -> str:
        _program, _force, target, _version = arguments
        names = host.read("/etc/dracut.conf.d/50-goldenimage.conf").split('"')[1].split()
        host.write(target, " ".join(["xfs", *(name for name in names if name != leaves_out)]))
        return ""

    host.programs = {"dracut": dracut, "lsinitrd": lambda arguments: listing(host, arguments)}
    return host


def test_initramfs_tools_include_the_missing_ones_and_nothing_the_second_time(tmp_path: Path) -> None:
    host = debian(tmp_path)
    add_kernel(host, "6.1.0-9-amd64", ALL)
    add_kernel(host, "6.1.0-31-amd64", ALL)
    for version in ("6.1.0-9-amd64", "6.1.0-31-amd64"):
        host.write(f"/boot/initrd.img-{version}", "ext4")
    drivers = Drivers(host.root, host, REQUIRED, WANTED)
    plan = drivers.plan()
    assert [kernel.version for kernel in plan.rebuild] == ["6.1.0-9-amd64", "6.1.0-31-amd64"]
    after = drivers.carry_out(plan)
    assert after[1].drivers == {
        "hv_vmbus": "built-in",
        "hv_storvsc": "included",
        "nvme": "included",
        "pci_hyperv": "included",
    }
    assert host.read("/etc/initramfs-tools/modules") == (
        "# List of modules\nnvme\n# Without these drivers the machine cannot boot on Azure.\n"
        "hv_storvsc\npci_hyperv\n"
    )
    second = Drivers(host.root, host, REQUIRED, WANTED).plan()
    assert (second.changes, second.rebuild) == ([], [])


def test_kernel_without_any_initramfs_gets_one(tmp_path: Path) -> None:
    host = debian(tmp_path)
    add_kernel(host, "6.1", ALL)
    drivers = Drivers(host.root, host, REQUIRED)
    drivers.carry_out(drivers.plan())
    assert ["/usr/sbin/update-initramfs", "-c", "-k", "6.1"] in host.calls


def test_initramfs_that_can_be_read_is_not_listed_by_a_program(tmp_path: Path) -> None:
    host = debian(tmp_path)
    add_kernel(host, "6.1", ALL)
    (tmp_path / "boot/initrd.img-6.1").write_bytes(
        initramfs(["hv_vmbus", "hv_storvsc", "nvme", "pci-hyperv"])
    )
    plan = Drivers(host.root, host, REQUIRED, WANTED).plan()
    assert plan.rebuild == []
    assert plan.kernels[0].named("included") == ["hv_storvsc", "nvme", "pci_hyperv"]
    assert host.calls == []


def test_initramfs_that_nobody_can_read_is_an_error_that_names_what_to_install(tmp_path: Path) -> None:
    host = debian(tmp_path)
    add_kernel(host, "6.1", ALL)
    host.write("/boot/initrd.img-6.1", "packed otherwise")
    del host.programs["lsinitramfs"]
    with pytest.raises(
        GuestError, match=r"initrd\.img-6\.1 is no initramfs at byte 0, and lsinitramfs is not in"
    ):
        Drivers(host.root, host, REQUIRED, WANTED).plan()


def test_dracut_replaces_the_old_one_by_one_that_has_the_drivers(tmp_path: Path) -> None:
    host = red_hat(tmp_path)
    add_kernel(host, "5.14.0-70.el9", ALL, [])
    host.write("/boot/initramfs-5.14.0-70.el9.img", "xfs")
    drivers = Drivers(host.root, host, REQUIRED, WANTED)
    after = drivers.carry_out(drivers.plan())
    assert set(after[0].drivers.values()) == {"included"}
    assert host.read("/boot/initramfs-5.14.0-70.el9.img").split() == [
        *("xfs", "hv_vmbus", "hv_storvsc", "nvme", "pci_hyperv"),
    ]
    second = Drivers(host.root, host, REQUIRED, WANTED).plan()
    assert (second.changes, second.rebuild) == ([], [])
    assert sorted(path.name for path in (tmp_path / "boot").iterdir()) == [
        "initramfs-5.14.0-70.el9.img",
        "vmlinuz-5.14.0-70.el9",
    ]


def test_new_initramfs_without_a_driver_does_not_replace_the_old_one(tmp_path: Path) -> None:
    host = red_hat(tmp_path, leaves_out="hv_storvsc")
    add_kernel(host, "5.14", ALL)
    host.write("/boot/initramfs-5.14.img", "xfs")
    drivers = Drivers(host.root, host, REQUIRED)
    with pytest.raises(GuestError, match="lacks hv_storvsc; look for settings that leave drivers out"):
        drivers.carry_out(drivers.plan())
    assert host.read("/boot/initramfs-5.14.img") == "xfs"
    assert not list((tmp_path / "boot").glob(".goldenimage*"))


def test_driver_that_stays_missing_is_an_error(tmp_path: Path) -> None:
    host = debian(tmp_path, leaves_out="hv_storvsc")
    add_kernel(host, "6.1", ALL)
    drivers = Drivers(host.root, host, REQUIRED)
    with pytest.raises(GuestError, match=r"/boot/initrd.img-6.1 was made and lacks hv_storvsc"):
        drivers.carry_out(drivers.plan())


def test_initramfs_of_a_boot_loader_entry_is_found_by_its_version(tmp_path: Path) -> None:
    host = red_hat(tmp_path)
    add_kernel(host, "6.8", ALL)
    host.write("/boot/0123abcd/6.8/initrd", "xfs")
    drivers = Drivers(host.root, host, REQUIRED)
    drivers.carry_out(drivers.plan())
    assert "hv_storvsc" in host.read("/boot/0123abcd/6.8/initrd")


def test_initramfs_whose_name_is_made_from_its_content_is_looked_into_and_never_replaced(
    tmp_path: Path,
) -> None:
    host = red_hat(tmp_path)
    add_kernel(host, "6.17.1-1-default", ALL, [])
    folder = "/boot/efi/opensuse-tumbleweed/6.17.1-1-default"
    old, new = (f"{folder}/initrd-{digit * 40}" for digit in "e5")
    host.write(old, "btrfs")
    os.utime(tmp_path / old[1:], (1, 1))
    host.write(new, "btrfs")
    with pytest.raises(GuestError, match=rf'{new} lacks hv_vmbus.*add_drivers\+=" hv_storvsc.*sdbootutil'):
        Drivers(host.root, host, REQUIRED, WANTED).plan()
    host.write(new, "btrfs hv_vmbus hv_storvsc nvme pci_hyperv")
    plan = Drivers(host.root, host, REQUIRED, WANTED).plan()
    assert plan.rebuild == []
    assert set(plan.kernels[0].drivers.values()) == {"included"}


RULES = "/etc/modprobe.d/hardening.conf"
DENIED = """\
# site
blacklist floppy
  blacklist hv-vmbus
install pci_hyperv /bin/false
install nvme /sbin/modprobe --ignore-install nvme
options nvme_core io_timeout=30
"""


def test_drivers_that_were_kept_from_loading_may_load_and_the_initramfs_learns_of_it(tmp_path: Path) -> None:
    host = debian(tmp_path)
    add_kernel(host, "6.1", ALL, [])
    drivers = Drivers(host.root, host, REQUIRED, WANTED)
    drivers.carry_out(drivers.plan())
    image = tmp_path / "boot/initrd.img-6.1"
    host.write(RULES, DENIED)
    (tmp_path / "etc/modprobe.d/gone.conf").symlink_to("nowhere")

    plan = Drivers(host.root, host, REQUIRED, WANTED).plan()
    assert [change.path for change in plan.changes] == [RULES]
    assert [kernel.version for kernel in plan.rebuild] == ["6.1"]
    make_changes(host.root, plan.changes)
    assert host.read(RULES) == DENIED.replace("  blacklist hv", "# Not on Azure: blacklist hv").replace(
        "install pci", "# Not on Azure: install pci"
    )
    # A run that ended here has left an initramfs with the old rules.
    os.utime(image, (1, 1))
    drivers = Drivers(host.root, host, REQUIRED, WANTED)
    plan = drivers.plan()
    assert (plan.changes, [kernel.version for kernel in plan.rebuild]) == ([], ["6.1"])
    drivers.carry_out(plan)
    second = Drivers(host.root, host, REQUIRED, WANTED).plan()
    assert (second.changes, second.rebuild) == ([], [])


def test_newest_kernel_without_a_required_driver_is_refused(tmp_path: Path) -> None:
    host = debian(tmp_path)
    add_kernel(host, "6.1", ALL)
    add_kernel(host, "6.10", {"nvme"})
    with pytest.raises(GuestError, match=r"kernel 6\.10 has no hv_storvsc and cannot boot on Azure"):
        Drivers(host.root, host, REQUIRED).plan()


def test_older_kernel_without_a_required_driver_is_a_warning(tmp_path: Path) -> None:
    host = debian(tmp_path)
    add_kernel(host, "6.9", {"nvme"})
    add_kernel(host, "6.10", ALL)
    assert Drivers(host.root, host, REQUIRED).plan().warnings == [
        "kernel 6.9 has no hv_storvsc and cannot boot on Azure; remove it, so that nobody boots it by mistake"
    ]


def test_optional_driver_that_no_kernel_has_is_left_out(tmp_path: Path) -> None:
    host = debian(tmp_path)
    add_kernel(host, "6.1", {"hv_storvsc"})
    drivers = Drivers(host.root, host, REQUIRED, ["mana"])
    after = drivers.carry_out(drivers.plan())
    assert after[0].drivers["mana"] == "unavailable"
    assert "mana" not in host.read("/etc/initramfs-tools/modules")


def test_kernel_that_has_all_drivers_in_it_needs_no_tool(tmp_path: Path) -> None:
    host = Host(tmp_path)
    add_kernel(host, "6.1", ALL, sorted(ALL))
    plan = Drivers(host.root, host, REQUIRED, WANTED).plan()
    assert (plan.changes, plan.rebuild) == ([], [])


def test_missing_tool_is_said_before_anything_changes(tmp_path: Path) -> None:
    host = Host(tmp_path)
    add_kernel(host, "6.1", ALL)
    with pytest.raises(GuestError, match=r"neither initramfs-tools nor dracut .* kernel 6.1 has hv_storvsc"):
        Drivers(host.root, host, REQUIRED).plan()


def test_machine_without_a_kernel_is_refused(tmp_path: Path) -> None:
    host = debian(tmp_path)
    # Left by a kernel that was removed.
    host.write("/usr/lib/modules/5.10/modules.dep", "a.ko:\n")
    assert installed_kernels(host.root) == []
    with pytest.raises(GuestError, match="no kernel with its modules is installed"):
        Drivers(host.root, host, REQUIRED).plan()


def test_initramfs_is_made_anew_when_something_else_in_it_has_changed(tmp_path: Path) -> None:
    host = debian(tmp_path)
    add_kernel(host, "6.1", ALL, sorted(ALL))
    host.write("/boot/initrd.img-6.1", "ext4")
    assert Drivers(host.root, host, REQUIRED).plan().rebuild == []
    assert len(Drivers(host.root, host, REQUIRED, rebuild=True).plan().rebuild) == 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("kernel/drivers/nvme/host/nvme-core.ko.xz", "nvme_core"),
        ("usr/lib/modules/6/kernel/drivers/hv/hv_vmbus.ko", "hv_vmbus"),
        ("kernel/readme.txt", None),
        ("hv_vmbus.ko.bak", None),
    ],
)
def test_modules_are_known_by_the_kernels_own_names(path: str, name: str | None) -> None:
    assert module_name(path) == name


@pytest.mark.parametrize("driver", ["a b", "../x", "", 'x"'])
def test_names_that_no_driver_has_are_refused(tmp_path: Path, driver: str) -> None:
    with pytest.raises(GuestError, match="no name of a driver"):
        Drivers(Host(tmp_path).root, Host(tmp_path), [driver])
