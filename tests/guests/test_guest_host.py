# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Guests of the local Azure: machines that live on blobs.

Most tests need no operating system: their disk is one boot sector that counts its starts on the disk itself
and says the number on the serial console.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.guests.guest_specs import INSTANCE, VM1, VM2, spec_of
from tests.guests.lab.debian import build_debian
from tests.guests.lab.processes import load_identity
from tests.guests.lab.programs import run_program
from tests.guests.lab.ssh import connected, make_key, wait_for_ssh
from tests.local_azure.blob_storage.blobs import BlobAddress, BlobStore
from tests.local_azure.certificates import ensure_certificates
from tests.local_azure.guest_environment.launch import LaunchError
from tests.local_azure.guests_host import GuestError, GuestHost, choose_ssh_port

CHECKOUT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
DISKS = "md-impexp-0"
COUNTER = 8 * 512
BOOT_SECONDS = 300

# 16-bit code at 7C00h; the disk address packet is at 7D00h, the counter's sector comes to 8000h.
COUNTING_SECTOR = (
    bytes.fromhex(
        "31c0 8ed8 8ed0 bc007c"  # data and stack segments 0, stack below the code
        "8816f07d"  # keep the number of the boot disk
        "be007d b442 cd13"  # read the counter's sector
        "fe060080"  # count
        "be007d 8a16f07d b80043 cd13"  # write it back
        "a00080 0430 baf803 ee b00a ee"  # the digit and a line feed to the serial port
        "f4 ebfd"  # halt
    ).ljust(256, b"\0")
    + bytes.fromhex("1000 0100 0080 0000 0800000000000000").ljust(254, b"\0")
    + b"\x55\xaa"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobStore]:
    state = tmp_path_factory.mktemp("state")
    certificates = ensure_certificates(state)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    made = BlobStore(state, certificates.server, certificates.key, port)
    made.ensure_account(DISKS, base64.b64encode(secrets.token_bytes(64)).decode())
    made.start()
    yield made
    made.stop()


@pytest.fixture
def host(tmp_path: Path, store: BlobStore) -> Iterator[GuestHost]:
    made = GuestHost(tmp_path, store)
    yield made
    made.stop_all(hard=True)


@pytest.fixture
def disk(store: BlobStore) -> BlobAddress:
    """A disk that counts its starts."""
    address = BlobAddress(DISKS, secrets.token_hex(8), "abcd")
    store.create_page_blob(address, MIB + 512)
    store.write(address, 0, COUNTING_SECTOR)
    store.write_vhd_footer(address)
    return address


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def starts_counted(host: GuestHost, key: str) -> str:
    wait_for(lambda: host.console(key).endswith("\n"))
    return host.console(key)[-2:-1]


def count_in_blob(store: BlobStore, disk: BlobAddress) -> int:
    return store.read(disk, COUNTER, 512)[0]


def test_guest_writes_reach_the_blob_when_synced(
    host: GuestHost, store: BlobStore, disk: BlobAddress
) -> None:
    spec = spec_of(disk)
    host.start(spec)
    host.start(spec)
    assert starts_counted(host, spec.key) == "1"
    with pytest.raises(GuestError, match="running"):
        host.sync_back(spec.key)
    host.stop(spec.key, hard=True)
    host.stop(spec.key)
    assert not host.is_running(spec.key)
    assert count_in_blob(store, disk) == 0
    host.sync_back(spec.key)
    assert count_in_blob(store, disk) == 1
    assert store.inspect_vhd(disk).virtual_size == MIB
    after = store.fingerprint(disk)
    host.sync_back(spec.key)
    host.sync_back("a VM that never started")
    assert store.fingerprint(disk) == after


def test_restarted_guest_goes_on_where_it_was(host: GuestHost, store: BlobStore, disk: BlobAddress) -> None:
    spec = spec_of(disk)
    for expected in ("1", "2"):
        host.start(spec)
        assert starts_counted(host, spec.key) == expected
        host.stop(spec.key, hard=True)
    host.sync_back(spec.key)
    host.start(spec)
    assert starts_counted(host, spec.key) == "3"
    host.stop(spec.key, hard=True)
    host.sync_back(spec.key)
    assert count_in_blob(store, disk) == 3


def test_blob_written_since_the_last_sync_is_what_the_guest_boots(
    host: GuestHost, store: BlobStore, disk: BlobAddress
) -> None:
    spec = spec_of(disk)
    host.start(spec)
    assert starts_counted(host, spec.key) == "1"
    host.stop(spec.key, hard=True)
    store.write(disk, COUNTER, b"\6".ljust(512, b"\0"))
    with pytest.raises(GuestError, match="written to since"):
        host.sync_back(spec.key)
    assert count_in_blob(store, disk) == 6
    host.start(spec)
    assert starts_counted(host, spec.key) == "7"


def test_grown_disk_is_seen_by_the_guest_with_its_content(
    host: GuestHost, store: BlobStore, disk: BlobAddress, tmp_path: Path
) -> None:
    spec = spec_of(disk)
    host.start(spec)
    assert starts_counted(host, spec.key) == "1"
    host.stop(spec.key, hard=True)
    host.sync_back(spec.key)
    store.resize(disk, 4 * MIB + 512)
    host.start(spec)
    assert starts_counted(host, spec.key) == "2"
    host.stop(spec.key, hard=True)
    host.sync_back(spec.key)
    store.export_raw(disk, tmp_path / "disk.raw")
    assert (tmp_path / "disk.raw").stat().st_size == 4 * MIB


def test_vms_of_one_image_share_an_export_and_nothing_else(
    host: GuestHost, store: BlobStore, disk: BlobAddress, tmp_path: Path
) -> None:
    copy = disk._replace(container=f"{disk.container}copy")
    store.copy(disk, copy)
    first, second = spec_of(disk, VM1), spec_of(copy, VM2, address="127.64.0.10")
    for spec in (first, second):
        host.start(spec)
    assert len(list((tmp_path / "guests/cache").iterdir())) == 1
    assert starts_counted(host, VM1) == starts_counted(host, VM2) == "1"
    host.delete(VM1)
    assert host.keys() == [VM2]
    assert host.is_running(VM2)
    assert len(list((tmp_path / "guests/cache").iterdir())) == 1
    host.delete(VM2)
    assert [path.name for path in (tmp_path / "guests").rglob("*")] == ["cache"]
    assert store.size(copy) == MIB + 512


def test_guest_outlives_its_starter_and_is_found_again(
    host: GuestHost, store: BlobStore, disk: BlobAddress, tmp_path: Path
) -> None:
    spec = spec_of(disk)
    host.start(spec)
    host.stop(spec.key, hard=True)
    script = (
        "import sys, pathlib; from tests.local_azure.guests_host import *\n"
        "from unittest.mock import Mock\n"
        "host = GuestHost(pathlib.Path(sys.argv[1]), Mock(fingerprint=lambda address: sys.argv[2]))\n"
        f"host.start({spec!r})\n"
        "print('started', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), store.fingerprint(disk)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        starter.send_signal(signal.SIGKILL)
    again = GuestHost(tmp_path, store)
    assert again.keys() == [spec.key]
    assert again.is_running(spec.key)
    assert starts_counted(again, spec.key) in "12"
    again.stop_all(hard=True)
    assert not again.is_running(spec.key)
    assert not host.is_running(spec.key)


def test_process_with_a_recycled_id_is_left_alone(
    host: GuestHost, store: BlobStore, disk: BlobAddress, tmp_path: Path
) -> None:
    spec = spec_of(disk)
    host.start(spec)
    host.stop(spec.key, hard=True)
    with subprocess.Popen(["sleep", "60"]) as other:
        (directory,) = [path.parent for path in tmp_path.glob("guests/*/guest.json")]
        (directory / "vm.pid").write_text(f"{other.pid} 12345\n")
        again = GuestHost(tmp_path, store)
        assert not again.is_running(spec.key)
        again.stop(spec.key, hard=True)
        again.delete(spec.key)
        assert other.poll() is None
        other.kill()


def test_guest_that_says_nothing_is_silent_and_one_that_is_off_has_stopped(
    host: GuestHost, disk: BlobAddress
) -> None:
    spec = spec_of(disk)
    assert host.wait_provisioned(spec.key, 30).outcome == "stopped"
    host.start(spec)
    assert host.wait_provisioned(spec.key, 0.5) == ("silent", "", False)
    host.stop(spec.key, hard=True)
    assert host.wait_provisioned(spec.key, 30).outcome == "stopped"


def test_environment_ends_with_its_guest_and_leaves_the_address_free(
    host: GuestHost, disk: BlobAddress, tmp_path: Path
) -> None:
    spec = spec_of(disk)
    for _unused in range(2):
        host.start(spec)
        (file,) = tmp_path.glob("guests/*/environment.pid")
        identity = load_identity(file)
        assert identity is not None
        assert identity.is_alive()
        host.stop(spec.key, hard=True)
        assert not identity.is_alive()
        with socket.create_server((spec.address, spec.ssh_port)):
            pass


def test_guest_does_not_start_when_its_address_is_taken(host: GuestHost, disk: BlobAddress) -> None:
    spec = spec_of(disk)
    with (
        socket.create_server((spec.address, spec.ssh_port)),
        pytest.raises(LaunchError, match="Nothing can listen"),
    ):
        host.start(spec)
    assert not host.is_running(spec.key)


def test_media_is_made_for_the_first_start_alone_and_kept_from_others(
    host: GuestHost, disk: BlobAddress, tmp_path: Path
) -> None:
    spec = spec_of(disk, provision=True, admin_password="Tr0ub4dor&3", custom_data=b"#!/bin/sh\ntrue\n")
    host.start(spec)
    (media,) = tmp_path.glob("guests/*/provisioning.iso")
    assert stat.S_IMODE(media.stat().st_mode) == 0o600
    written = media.read_bytes()
    host.stop(spec.key, hard=True)
    host.start(spec._replace(admin_password="another"))
    assert media.read_bytes() == written
    host.stop(spec.key, hard=True)
    media.unlink()
    host.start(spec)
    assert not media.exists()


def test_ssh_port_is_chosen_once(tmp_path: Path) -> None:
    chosen = choose_ssh_port(tmp_path)
    assert choose_ssh_port(tmp_path) == chosen
    assert chosen == 22 or chosen >= 1024


def test_ssh_port_of_a_host_with_its_own_server_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as own_server:
        own_server.bind(("", 0))
        taken = own_server.getsockname()[1]
        monkeypatch.setattr("tests.local_azure.guests_host.SSH_PORT", taken)
        assert choose_ssh_port(tmp_path) != taken


@pytest.mark.guests
@pytest.mark.timeout(1200)
@pytest.mark.thorough
def test_debian_is_provisioned_and_captured(host: GuestHost, store: BlobStore, tmp_path: Path) -> None:
    image = build_debian(CHECKOUT / ".build/guests")
    size = image.stat().st_size
    disk, data = (BlobAddress(DISKS, secrets.token_hex(8), "abcd") for _unused in range(2))
    store.create_page_blob(disk, size + 512)
    store.create_page_blob(data, 64 * MIB + 512)
    store.import_raw(image, disk)
    key = make_key(tmp_path / "key")
    place = "/home/azureuser/.ssh/authorized_keys"
    compute = {**INSTANCE["compute"], "publisher": "", "publicKeys": [{"keyData": key, "path": place}]}
    spec = spec_of(
        disk,
        ssh_public_keys=((place, key),),
        data_disks=((3, data),),
        generation="V2",
        instance={**INSTANCE, "compute": compute},
        custom_data=b"#!/bin/sh\necho done > /root/custom\n",
        provision=True,
    )
    host.start(spec)
    assert host.wait_provisioned(spec.key, 300).outcome == "ready"
    assert host.heard(spec.key).reporter.startswith("Cloud-Init/")
    assert not list(tmp_path.glob("guests/*/provisioning.iso"))
    with connected(spec.address, spec.ssh_port, "azureuser", tmp_path / "key") as guest:
        wait_for_ssh(guest, 300, is_running=lambda: host.is_running(spec.key))
        assert guest.run("hostname; ls -d /sys/firmware/efi").split() == ["web01", "/sys/firmware/efi"]
        disks = [line.split() for line in guest.run("lsblk -dno NAME,HCTL,SIZE /dev/sd?").splitlines()]
        assert [size for _unused, place, size in disks if place.endswith(":3")] == ["64M"]
        at_lun_3 = next(name for name, place, _unused in disks if place.endswith(":3"))
        guest.sudo(f"printf captured | dd of=/dev/{at_lun_3} conv=fsync status=none")
        guest.sudo("echo kept > /root/kept; sync")
        assert guest.run("cloud-init status --wait > /dev/null; cat /run/cloud-init/cloud-id") == "azure\n"
        assert guest.sudo("cat /root/custom; blkid /dev/sr0 || true") == "done\n"
        wait_for(lambda: host.heard(spec.key).agent is not None)
        agent = host.heard(spec.key).agent
        assert agent is not None
        assert (agent.status, agent.computer_name, agent.os_name) == ("Ready", "web01", "debian")
    host.stop(spec.key)
    host.sync_back(spec.key)
    assert store.read(data, 0, 512).startswith(b"captured")
    store.export_raw(disk, tmp_path / "disk.raw")
    table = run_program(["sfdisk", "--dump", str(tmp_path / "disk.raw")])
    starts = [
        line.split("start=")[1].split(",")[0].strip() for line in table.splitlines() if "start=" in line
    ]
    contents = [
        subprocess.run(
            ["debugfs", "-R", "cat /root/kept", f"{tmp_path / 'disk.raw'}?offset={int(first) * 512}"],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/sbin:/usr/sbin"},
            check=False,
        ).stdout
        for first in starts
    ]
    assert "kept\n" in contents
