# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Machines without an operating system: QEMU itself, its processes and its refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.lab.accelerator import accelerator, boot_sector, runs_under
from tests.guests.lab.machine import Disk, Forward, Machine, MachineError, free_port, make_overlay
from tests.guests.lab.processes import ProcessIdentity, identify, load_identity, save_identity
from tests.guests.lab.qmp import QmpError


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    path = tmp_path / "disk, with comma.raw"
    path.touch()
    os.truncate(path, 1 << 20)
    return Disk(path)


@pytest.fixture
def machine(tmp_path: Path, disk: Disk) -> Iterator[Machine]:
    # Deeper than a UNIX socket's address can be.
    made = Machine("empty", tmp_path / ("d" * 100) / "work", [disk], memory_mib=64, vcpus=1)
    yield made
    made.kill()


def test_probe_tells_a_cpu_that_runs_from_one_that_does_not() -> None:
    assert len(boot_sector()) == 512
    assert runs_under("tcg", "max", seconds=20)
    assert not runs_under("tcg", "no-such-model")
    assert accelerator() in ("kvm", "tcg")


def test_machine_runs_answers_qmp_and_ends_without_a_trace(machine: Machine) -> None:
    machine.start()
    assert machine.is_running()
    assert machine.qmp("query-status")["status"] == "running"
    pid = machine.pid
    assert pid is not None
    machine.kill()
    assert not machine.is_running()
    assert machine.pid is None
    assert not Path(f"/proc/{pid}").exists()
    assert not list(machine.work_dir.glob("*.pid"))


def test_another_process_sees_and_controls_the_machine_by_its_files(machine: Machine) -> None:
    machine.start()
    other = Machine("empty", machine.work_dir, machine.disks)
    assert other.pid == machine.pid
    with pytest.raises(MachineError, match="is running already"):
        other.start()
    other.kill()
    assert not machine.is_running()


def test_machine_dies_with_the_process_that_started_it(machine: Machine) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.guests.lab.machine import Disk, Machine\n"
        "machine = Machine('empty', Path(sys.argv[1]), [Disk(Path(sys.argv[2]))], memory_mib=64, vcpus=1)\n"
        "machine.start(); print(machine.pid, flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", code, str(machine.work_dir), str(machine.disks[0].path)]
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=root) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        identity = identify(pid)
        assert identity is not None
        assert machine.pid == pid
        owner.send_signal(signal.SIGKILL)
    assert identity.wait(10)
    assert not machine.is_running()


def test_guest_that_ignores_the_power_button_is_switched_off(machine: Machine) -> None:
    machine.start()
    assert machine.power_off(timeout=0.2) is False
    assert not machine.is_running()


def test_qmp_passes_on_why_a_command_is_refused(machine: Machine) -> None:
    machine.start()
    with pytest.raises(QmpError, match=r"refused device_del.*nothing-there"):
        machine.qmp("device_del", id="nothing-there")


def test_taken_port_is_reported_in_qemus_words_and_nothing_stays(machine: Machine) -> None:
    port = free_port()
    machine.forwards = (Forward("127.0.0.1", port), Forward("127.0.0.1", port))
    with pytest.raises(MachineError, match=r"did not start: .*host forwarding rule"):
        machine.start()
    assert not machine.is_running()


@pytest.mark.parametrize(
    ("luns", "message"),
    [
        ([], "exactly one OS disk"),
        ([None, None], "exactly one OS disk"),
        ([None, 3, 3], "must differ"),
        ([None, 64], "0 to 63"),
    ],
)
def test_impossible_disk_places_are_refused_before_qemu_starts(
    luns: list[int | None], message: str, disk: Disk, tmp_path: Path
) -> None:
    machine = Machine("odd", tmp_path / "work", [disk._replace(lun=lun) for lun in luns])
    with pytest.raises(MachineError, match=message):
        machine.start()
    assert not (tmp_path / "work").exists()


def test_missing_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"cannot start without .*gone\.raw"):
        Machine("odd", tmp_path, [Disk(tmp_path / "gone.raw")]).start()


def test_overlay_keeps_writes_from_its_backing_file(disk: Disk, tmp_path: Path) -> None:
    overlay = make_overlay(tmp_path / "overlay.qcow2", disk.path)
    subprocess.run(["qemu-io", "-c", "write -P 7 0 512", str(overlay.path)], check=True, capture_output=True)
    assert disk.path.read_bytes() == bytes(1 << 20)


def test_only_a_freezable_machine_can_be_frozen(machine: Machine, tmp_path: Path) -> None:
    machine.start()
    with pytest.raises(MachineError, match="not started as freezable"):
        machine.freeze(tmp_path / "state")
    assert machine.is_running()


def test_process_with_a_reused_id_is_not_mistaken_for_the_old_one(tmp_path: Path) -> None:
    own = identify(os.getpid())
    assert own is not None
    assert own.is_alive()
    older = ProcessIdentity(own.pid, own.start_time - 1)
    assert not older.is_alive()
    older.send(signal.SIGKILL)
    assert older.wait(0)
    save_identity(tmp_path / "pid", own)
    assert load_identity(tmp_path / "pid") == own
    (tmp_path / "pid").write_text("not a number\n")
    assert load_identity(tmp_path / "pid") is None


def test_zombie_counts_as_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    identity = identify(child.pid)
    assert identity is not None
    deadline = time.monotonic() + 20
    while identity.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not identity.is_alive()
    child.wait()
