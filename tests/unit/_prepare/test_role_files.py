# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What linux_prepare leaves on machines to run at boot: the swap file's maker and the choice of a clock."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import jinja2
import pytest

ROLE = Path(__file__).resolve().parents[3] / "roles" / "linux_prepare"
SWAP = ROLE / "files" / "azure-temporary-swap"
SWAP_UNIT = ROLE / "templates" / "azure-temporary-swap.service.j2"
CLOCK = ROLE / "templates" / "azure-clock.conf.j2"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory of programs that write down how they were called and do nothing."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("mountpoint", "swapoff", "swapon", "mkswap", "fallocate", "dd"):
        fake(directory, name)
    return directory


def fake(directory: Path, name: str, then: str = "exit 0") -> None:
    program = directory / name
    program.write_text(f'#!/bin/sh\necho "{name} $*" >> {directory}/calls\n{then}\n')
    program.chmod(0o755)


def free_mib(directory: Path, mib: int) -> None:
    table = f"Filesystem 1048576-blocks Used Available Capacity Mounted\\n/dev/sdb1 999999 1 {mib} 1% /mnt"
    fake(directory, "df", f"printf '{table}\\n'")


def make_swap(programs: Path, mount_point: Path, mib: int) -> list[str]:
    """The calls that the program makes."""
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["/bin/sh", str(SWAP), str(mount_point), str(mib)], env=environ, check=True)
    calls = (programs / "calls").read_text().splitlines()
    return [call for call in calls if not call.startswith(("df ", "mountpoint "))]


def test_swap_file_is_made_anew_with_the_size_asked_for(programs: Path, tmp_path: Path) -> None:
    free_mib(programs, 100_000)
    file = tmp_path / "swapfile"
    file.write_text("of another life")
    assert make_swap(programs, tmp_path, 2048) == [
        f"swapoff {file}",
        f"fallocate -l 2048M {file}",
        f"mkswap {file}",
        f"swapon {file}",
    ]
    assert not file.exists()


def test_swap_file_takes_half_of_what_is_free_at_most(programs: Path, tmp_path: Path) -> None:
    free_mib(programs, 1000)
    assert f"fallocate -l 500M {tmp_path}/swapfile" in make_swap(programs, tmp_path, 2048)


def test_swap_file_is_written_where_space_cannot_be_reserved(programs: Path, tmp_path: Path) -> None:
    free_mib(programs, 100_000)
    fake(programs, "fallocate", "exit 1")
    calls = make_swap(programs, tmp_path, 256)
    assert f"dd if=/dev/zero of={tmp_path}/swapfile bs=1M count=256 status=none" in calls
    assert calls[-1] == f"swapon {tmp_path}/swapfile"


def test_no_swap_file_is_made_on_the_disk_of_the_system_or_where_there_is_no_room(
    programs: Path, tmp_path: Path
) -> None:
    free_mib(programs, 100)
    assert make_swap(programs, tmp_path, 2048) == [f"swapoff {tmp_path}/swapfile"]
    fake(programs, "mountpoint", "exit 32")
    (programs / "calls").unlink()
    assert make_swap(programs, tmp_path, 2048) == []


@pytest.mark.parametrize(
    ("mount_point", "unit"),
    [("/mnt", "mnt.mount"), ("/srv/temporary-disk/a.b", r"srv-temporary\x2ddisk-a.b.mount")],
)
def test_swap_waits_for_the_mount_of_the_temporary_disk(mount_point: str, unit: str) -> None:
    template = jinja2.Environment(autoescape=False).from_string(SWAP_UNIT.read_text())  # noqa: S701
    text = template.render(linux_prepare_mount_point=mount_point, linux_prepare_swap_mib=1024)
    awaited = [line.partition("=")[2].split() for line in text.splitlines() if line.startswith("After=")]
    assert unit in [name for names in awaited for name in names]
    assert f"ConditionPathIsMountPoint={mount_point}" in text.splitlines()


@pytest.mark.parametrize("has_clock", [True, False])
def test_chronyd_takes_the_clock_of_the_host_where_there_is_one(has_clock: bool, tmp_path: Path) -> None:
    template = jinja2.Environment(autoescape=False).from_string(CLOCK.read_text())  # noqa: S701
    unit = template.render(
        _linux_prepare_chrony_options="DAEMON_OPTS", _linux_prepare_chrony_azure_file="/etc/chrony/azure.conf"
    )
    line = next(line for line in unit.splitlines() if line.startswith("ExecStartPre=+"))
    assert "EnvironmentFile=-/run/azure-clock" in unit.splitlines()
    chosen = tmp_path / "azure-clock"
    chosen.write_text("of the last boot")
    device = tmp_path / "ptp_hyperv"
    if has_clock:
        device.touch()
    line = line.replace("/run/azure-clock", str(chosen)).replace("/dev/ptp_hyperv", str(device))
    # systemd.service(5): two dollar signs stand for one.
    command = [word.replace("$$", "$") for word in shlex.split(line.partition("+")[2])]
    subprocess.run(command, env={"DAEMON_OPTS": "-F 1", "PATH": os.environ["PATH"]}, check=True)
    if has_clock:
        assert chosen.read_text() == "DAEMON_OPTS=-F 1 -f /etc/chrony/azure.conf\n"
    else:
        assert not chosen.exists()
