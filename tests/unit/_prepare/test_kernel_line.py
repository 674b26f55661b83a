# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Every entry gets the kernel line that was asked for, whatever boot loader the machine has."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.kernel_line import KernelLine
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.kernel_words import split_words

from tests.unit._prepare.host import Host, blkid

PRESENT = ["console=tty1", "console=ttyS0,115200n8", "rootdelay=300"]
ABSENT = ["rhgb", "quiet", "crashkernel=auto", "splash"]
MENU = "/boot/grub/grub.cfg"


def settings_of(host: Host) -> Mapping[str, str]:
    """The settings that grub-mkconfig would source, simple ones."""
    names = ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT", "GRUB_DISABLE_LINUX_UUID")
    values = dict.fromkeys(names, "")
    drop_ins = sorted(f"etc/default/grub.d/{path.name}" for path in host.top.glob("etc/default/grub.d/*"))
    for path in ["etc/default/grub", *drop_ins]:
        for line in host.read(path).splitlines():
            found = re.match(r"(?:export )?(\w+)=[\"']?(.*?)[\"']?(?: +#.*)?$", line)
            if found:
                value = found[2].replace('\\"', '"')
                values[found[1]] = value.replace(f"${found[1]}", values.get(found[1], ""))
    return values


def mkconfig(host: Host, extra: str = "") -> None:
    """Give the host a grub-mkconfig that has been run once."""

    def run(arguments: Sequence[str]) -> str:
        values = settings_of(host)
        root = "/dev/sda1" if values["GRUB_DISABLE_LINUX_UUID"] == "true" else "UUID=1-1"
        every, normal = values["GRUB_CMDLINE_LINUX"], values["GRUB_CMDLINE_LINUX_DEFAULT"]
        host.write(
            arguments[-1],
            "### BEGIN /etc/grub.d/10_linux ###\n"
            f"\tlinux\t/vmlinuz root={root} ro {every} {normal}{extra}\n"
            f"\tlinux\t/vmlinuz root={root} ro single {every}{extra}\n"
            "### END /etc/grub.d/10_linux ###\n"
            "### BEGIN /etc/grub.d/30_os-prober ###\n\tlinux /other root=/dev/sdb1 quiet\n"
            "### END /etc/grub.d/30_os-prober ###\n",
        )
        return ""

    host.programs["grub-mkconfig"] = run
    run([MENU])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, {"blkid": blkid({"/dev/sda1": {"UUID": "1-1"}, "/dev/sda2": {"UUID": "2-2"}})})


def run(host: Host, present: Sequence[str] = (), **settings: str) -> KernelLine:
    line = KernelLine(host.root, host, list(present or PRESENT), ABSENT, settings)
    line.carry_out(line.plan())
    assert line.plan() == ([], [], "")
    return line


def grub(host: Host, text: str, extra: str = "") -> None:
    host.write("/etc/default/grub", text)
    mkconfig(host, extra)


def test_arguments_go_where_every_entry_has_them(host: Host) -> None:
    normal = 'GRUB_CMDLINE_LINUX_DEFAULT="quiet splash=silent mitigations=auto"'
    grub(host, f'# settings\n{normal}\nGRUB_CMDLINE_LINUX=""\n')
    run(host)
    assert host.read("/etc/default/grub") == (
        '# settings\nGRUB_CMDLINE_LINUX_DEFAULT="mitigations=auto"\n'
        'GRUB_CMDLINE_LINUX="console=tty1 console=ttyS0,115200n8 rootdelay=300"\n'
    )
    assert host.read(MENU).count("console=tty1 console=ttyS0,115200n8 rootdelay=300") == 2


def test_arguments_of_the_same_name_are_replaced_wherever_they_are(host: Host) -> None:
    normal = "GRUB_CMDLINE_LINUX_DEFAULT='console=ttyS1 rootdelay=5'"
    grub(host, f"{normal}\nGRUB_CMDLINE_LINUX='a console=ttyS0,115200n8 b'\n")
    run(host)
    assert host.read("/etc/default/grub") == (
        "GRUB_CMDLINE_LINUX_DEFAULT=''\n"
        "GRUB_CMDLINE_LINUX='a b console=tty1 console=ttyS0,115200n8 rootdelay=300'\n"
    )


def test_last_console_must_be_the_last_one_asked_for(host: Host) -> None:
    grub(host, 'GRUB_CMDLINE_LINUX="console=ttyS0,115200n8 console=tty1 rootdelay=300"\n')
    run(host)
    words = split_words(host.read("/etc/default/grub").split('"')[1])
    assert [word for word in words if word.startswith("console")] == PRESENT[:2]


def test_settings_without_any_kernel_line_get_one(host: Host) -> None:
    grub(host, "GRUB_TIMEOUT=5\n")
    run(host)
    assert 'GRUB_CMDLINE_LINUX="console=tty1' in host.read("/etc/default/grub")


def test_drop_in_that_has_the_last_word_gets_the_arguments(host: Host) -> None:
    host.write("/etc/default/grub.d/50-cloud.cfg", 'GRUB_CMDLINE_LINUX="cloud console=hvc0"\n')
    grub(host, 'GRUB_CMDLINE_LINUX="lost"\n')
    run(host)
    assert host.read("/etc/default/grub.d/50-cloud.cfg").startswith('GRUB_CMDLINE_LINUX="cloud console=tty1 ')
    assert host.read("/etc/default/grub") == 'GRUB_CMDLINE_LINUX="lost"\n'


def test_drop_in_that_adds_to_the_value_keeps_its_reference(host: Host) -> None:
    host.write("/etc/default/grub.d/50-cloud.cfg", 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX quiet net=a"\n')
    grub(host, 'GRUB_CMDLINE_LINUX="console=tty1 console=ttyS0,115200n8 rootdelay=300"\n')
    run(host)
    assert host.read("/etc/default/grub.d/50-cloud.cfg") == 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX net=a"\n'
    assert (
        host.read("/etc/default/grub")
        == 'GRUB_CMDLINE_LINUX="console=tty1 console=ttyS0,115200n8 rootdelay=300"\n'
    )


def test_quotes_and_comments_of_settings_survive(host: Host) -> None:
    grub(host, 'export GRUB_CMDLINE_LINUX="a=\\"b c\\" quiet"   # ours\n')
    run(host, ["x=1"])
    assert host.read("/etc/default/grub") == 'export GRUB_CMDLINE_LINUX="a=\\"b c\\" x=1"   # ours\n'


@pytest.mark.parametrize("value", ['"$(cat /etc/args)"', '"one\\', "`date`", "a'b'"])
def test_settings_that_are_a_program_are_refused_before_anything_changes(host: Host, value: str) -> None:
    host.write("/etc/default/grub", f"GRUB_CMDLINE_LINUX={value}\n")
    host.write(MENU, "### BEGIN /etc/grub.d/10_linux ###\n### END /etc/grub.d/10_linux ###\n")
    with pytest.raises(
        GuestError, match=r"/etc/default/grub line 1: GRUB_CMDLINE_LINUX is not set by one plain"
    ):
        KernelLine(host.root, host, PRESENT, ABSENT, {}).plan()


def test_menu_that_an_interrupted_run_left_behind_is_made_anew(host: Host) -> None:
    grub(host, 'GRUB_CMDLINE_LINUX="quiet"\n')
    host.write(
        "/etc/default/grub", 'GRUB_CMDLINE_LINUX="console=tty1 console=ttyS0,115200n8 rootdelay=300"\n'
    )
    run(host)
    assert host.calls == [["/usr/sbin/grub-mkconfig", "-o", "/boot/grub/.goldenimage-grub.cfg"]]


def test_menu_older_than_its_settings_is_made_anew(host: Host) -> None:
    grub(host, 'GRUB_CMDLINE_LINUX="console=tty1 console=ttyS0,115200n8 rootdelay=300"\n')
    os.utime(host.top / "boot/grub/grub.cfg", (1, 1))
    run(host)
    assert host.calls == [["/usr/sbin/grub-mkconfig", "-o", "/boot/grub/.goldenimage-grub.cfg"]]


def test_menu_that_comes_out_wrong_does_not_replace_the_old_one(host: Host) -> None:
    grub(host, 'GRUB_CMDLINE_LINUX=""\n', extra=" quiet")
    line = KernelLine(host.root, host, PRESENT, ABSENT, {})
    before = host.read(MENU)
    with pytest.raises(
        GuestError, match=r"for /boot/grub/grub.cfg has a kernel line that is not as wished.*quiet"
    ):
        line.carry_out(line.plan())
    assert [path.name for path in (host.top / "boot/grub").iterdir()] == ["grub.cfg"]
    assert host.read(MENU) == before


def test_menu_without_any_kernel_does_not_replace_the_old_one(host: Host) -> None:
    grub(host, 'GRUB_CMDLINE_LINUX=""\n')
    before = host.read(MENU)

    def nothing(arguments: Sequence[str]) -> str:
        host.write(arguments[-1], "### BEGIN /etc/grub.d/10_linux ###\n### END /etc/grub.d/10_linux ###\n")
        return ""

    host.programs["grub-mkconfig"] = nothing
    line = KernelLine(host.root, host, PRESENT, ABSENT, {})
    with pytest.raises(GuestError, match=r"starts no kernel.*The old menu was kept"):
        line.carry_out(line.plan())
    assert host.read(MENU) == before


def test_menu_names_the_root_by_id(host: Host) -> None:
    grub(host, "GRUB_DISABLE_LINUX_UUID=true\n")
    run(host)
    assert 'GRUB_DISABLE_LINUX_UUID="false"' in host.read("/etc/default/grub")
    assert "root=/dev/sda1" not in host.read(MENU)


def test_settings_of_the_menu_are_set(host: Host) -> None:
    grub(host, 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX=""\n')
    run(host, GRUB_TIMEOUT="5", GRUB_TERMINAL="serial console")
    assert host.read("/etc/default/grub").startswith('GRUB_TIMEOUT="5"\n')
    assert 'GRUB_TERMINAL="serial console"\n' in host.read("/etc/default/grub")


def test_stub_that_leads_to_the_menu_is_left_alone(host: Host) -> None:
    stub = "search --fs-uuid 1\nconfigfile $prefix/grub.cfg\n"
    host.write("/boot/efi/EFI/debian/grub.cfg", stub)
    grub(host, 'GRUB_CMDLINE_LINUX=""\n')
    run(host)
    assert host.read("/boot/efi/EFI/debian/grub.cfg") == stub


def test_menu_written_by_hand_is_made_of_the_settings(host: Host) -> None:
    grub(host, 'GRUB_CMDLINE_LINUX="console=tty1 console=ttyS0,115200n8 rootdelay=300"\n')
    host.write(MENU, "menuentry 'Linux' {\n  linux /vmlinuz root=LABEL=root quiet\n}\n")
    run(host)
    assert "quiet" not in host.read(MENU).partition("30_os-prober")[0]


def test_missing_program_is_said_before_anything_changes(host: Host) -> None:
    grub(host, 'GRUB_CMDLINE_LINUX=""\n')
    del host.programs["grub-mkconfig"]
    with pytest.raises(GuestError, match="grub2-mkconfig or grub-mkconfig is not installed"):
        KernelLine(host.root, host, PRESENT, ABSENT, {}).plan()


ENTRY = (
    "title Linux\nlinux /vmlinuz-1\ninitrd /initramfs-1.img\n# comment\noptions {}\ngrub_users $grub_users\n"
)


def test_entries_and_the_line_of_later_kernels_are_changed(host: Host) -> None:
    host.write("/usr/bin/kernel-install", "")
    host.write("/boot/loader/entries/a-1.conf", ENTRY.format("root=/dev/sda1 ro rhgb quiet $tuned_params"))
    host.write("/boot/loader/entries/windows.conf", "title Other\nefi /EFI/other.efi\noptions quiet\n")
    host.write("/etc/kernel/cmdline", "root=/dev/sda1 ro resume=/dev/sda2 rhgb\n")
    run(host)
    line = "root=UUID=1-1 ro $tuned_params console=tty1 console=ttyS0,115200n8 rootdelay=300"
    assert host.read("/boot/loader/entries/a-1.conf") == ENTRY.format(line)
    assert host.read("/boot/loader/entries/windows.conf").endswith("options quiet\n")
    assert host.read("/etc/kernel/cmdline") == (
        "root=UUID=1-1 ro resume=UUID=2-2 console=tty1 console=ttyS0,115200n8 rootdelay=300\n"
    )


def test_systemd_boot_without_a_line_for_later_kernels_gets_one(host: Host) -> None:
    # kernel-install would take /proc/cmdline, which has the old arguments until the next boot.
    host.write("/usr/bin/kernel-install", "")
    host.write("/efi/loader/entries/a-1.conf", ENTRY.format("systemd.machine_id=12 root=UUID=1-1 rw quiet"))
    run(host)
    assert host.read("/etc/kernel/cmdline") == (
        "root=UUID=1-1 rw console=tty1 console=ttyS0,115200n8 rootdelay=300\n"
    )


def test_options_on_several_lines_become_one(host: Host) -> None:
    host.write("/boot/loader/entries/a.conf", "linux /v\noptions root=UUID=1-1\noptions quiet\n")
    run(host, ["x=1"])
    assert host.read("/boot/loader/entries/a.conf") == "linux /v\noptions root=UUID=1-1 x=1\n"


def environment(options: str) -> str:
    text = "# GRUB Environment Block\n# WARNING: Do not edit\nsaved_entry=1\n"
    text += f"kernelopts={options}\nboot_success=0\n"
    return text + "#" * (1024 - len(text))


def test_kernelopts_of_the_environment_block_are_changed_and_it_keeps_its_size(host: Host) -> None:
    host.write("/boot/grub2/grubenv", environment("root=/dev/sda1 ro rhgb quiet"))
    host.write("/boot/loader/entries/a-1.conf", ENTRY.format("$kernelopts $tuned_params"))
    run(host)
    text = host.read("/boot/grub2/grubenv")
    assert text == environment("root=UUID=1-1 ro console=tty1 console=ttyS0,115200n8 rootdelay=300")
    assert len(text) == 1024
    assert host.read("/boot/loader/entries/a-1.conf") == ENTRY.format("$kernelopts $tuned_params")


def test_kernel_line_too_long_for_the_environment_block_is_refused(host: Host) -> None:
    host.write("/boot/grub2/grubenv", environment("a=" + "x" * 900))
    host.write("/boot/loader/entries/a-1.conf", ENTRY.format("$kernelopts"))
    with pytest.raises(GuestError, match=r"does not fit .* 1024 bytes"):
        KernelLine(host.root, host, PRESENT, ABSENT, {}).plan()


def test_root_that_no_id_is_known_of_is_an_error(host: Host) -> None:
    host.write("/boot/loader/entries/a.conf", ENTRY.format("root=/dev/vdz9"))
    with pytest.raises(GuestError, match="/dev/vdz9: there is no such device"):
        KernelLine(host.root, host, PRESENT, ABSENT, {}).plan()


def test_machine_without_a_known_boot_loader_is_refused(host: Host) -> None:
    with pytest.raises(GuestError, match="nothing is known of how this machine boots"):
        KernelLine(host.root, host, PRESENT, ABSENT, {}).plan()


@pytest.mark.parametrize("word", ["a b", 'a="b"', "$x", "", "a;b", "a`b`"])
def test_arguments_that_are_no_plain_words_are_refused(host: Host, word: str) -> None:
    with pytest.raises(GuestError, match="no kernel argument that every boot loader takes"):
        KernelLine(host.root, host, [word], [], {})


def test_kernel_line_in_a_unified_image_is_not_said_to_be_changed(host: Host) -> None:
    host.write("/etc/kernel/cmdline", "root=UUID=1-1\n")
    host.write("/efi/EFI/Linux/0123-6.8.efi", "MZ")
    with pytest.raises(GuestError, match=r"a part of /efi/EFI/Linux/0123-6\.8\.efi"):
        KernelLine(host.root, host, PRESENT, ABSENT, {}).plan()


def test_argument_that_is_asked_for_counts_for_more_than_its_absence(host: Host) -> None:
    grub(host, 'GRUB_CMDLINE_LINUX="rootdelay=5"\n')
    line = KernelLine(host.root, host, ["rootdelay=300"], ["rootdelay"], {})
    line.carry_out(line.plan())
    assert host.read("/etc/default/grub") == 'GRUB_CMDLINE_LINUX="rootdelay=300"\n'
    assert line.plan() == ([], [], "")
