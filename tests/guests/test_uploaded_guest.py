# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A real Debian disk: in whatever format it comes it is the same disk, and what was uploaded of it boots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import make_plan

from tests.guests.lab.ssh import connected, make_key, wait_for_ssh
from tests.integration.cloud import LocalAzure
from tests.integration.disk_formats import Formats
from tests.integration.plays import Player
from tests.integration.watched_cloud import watched_cloud

GROUP = "uploaded"
#: One sample of each kind of map is enough for a disk of this size; the others are tested with a small one.
QUICK = {"vhdx dynamic", "qcow2 zlib", "vmdk stream"}
THOROUGH = {
    "vhd dynamic",
    "vhd differencing",
    "vhdx differencing",
    "qcow2 chain",
    "vmdk chain",
    "vmdk split sparse",
}


def digest(path: Path) -> str:
    with open_disk(str(path)) as reader:
        return make_plan(reader).content_sha256


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    state = tmp_path_factory.mktemp("azure")
    with watched_cloud(state, "--guests", "--guest-timeout", "400", "--speed", "500") as cloud:
        cloud.group(GROUP)
        yield cloud


@pytest.fixture(scope="module")
def disk(build_debian_disk: Callable[..., Path]) -> Path:
    return build_debian_disk()


@pytest.fixture(scope="module")
def files(
    disk: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> dict[str, Path]:
    """The disk in other formats, by their names."""
    formats = Formats(disk, tmp_path_factory.mktemp("formats"))
    taken = QUICK | THOROUGH if pytestconfig.getoption("--thorough") else QUICK
    return {name: sample.path for name, sample in formats.each(taken)}


@pytest.fixture(scope="module")
def expected(disk: Path) -> str:
    return digest(disk)


@pytest.mark.parametrize(
    "name",
    [*sorted(QUICK), *(pytest.param(name, marks=pytest.mark.thorough) for name in sorted(THOROUGH))],
)
def test_a_debian_disk_has_one_digest_in_every_format(
    files: dict[str, Path], expected: str, name: str
) -> None:
    assert digest(files[name]) == expected


@pytest.mark.thorough
def test_a_machine_of_an_uploaded_stream_optimized_vmdk_boots_and_answers(
    azure: LocalAzure, files: dict[str, Path], expected: str, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    machine = {
        "resource_group": GROUP,
        "name": "vmdk1",
        "image": "debian",
        "admin_username": "ops",
        "ssh_public_keys": [make_key(key)],
        "public_ip": True,
        "open_ports": [22],
    }
    upload = {
        "path": str(files["vmdk stream"]),
        "resource_group": GROUP,
        "disk_name": "debian",
        "os_type": "Linux",
    }
    image = {"resource_group": GROUP, "name": "debian", "os_disk": {"source": "debian"}}
    tasks = [
        {"name": name, f"goldenimage.azure.{name}": options}
        for name, options in (("disk_upload", upload), ("managed_image", image), ("vm", machine))
    ]
    play = Player(tmp_path, azure.env)
    run = play(tasks, timeout=600).succeeded()
    assert run.tasks["disk_upload"]["format"] == "vmdk"
    assert run.tasks["disk_upload"]["content_sha256"] == expected
    (address,) = run.tasks["vm"]["vm"]["public_ip_addresses"]
    port = int(azure.env["LOCAL_AZURE_GUEST_SSH_PORT"])
    with connected(address, port, "ops", key) as guest:
        wait_for_ssh(guest, 300)
        assert guest.run("hostname; cat /run/cloud-init/cloud-id").split() == ["vmdk1", "azure"]
        guest.sudo("dpkg --verify openssh-server systemd coreutils")
