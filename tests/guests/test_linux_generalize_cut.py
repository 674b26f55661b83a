# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The connection is cut in the middle of linux_generalize: nothing hangs, and another run ends right."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.guests.lab.container import ADDRESS, HOSTNAME, Container, is_possible
from tests.guests.lab.cutting import Cut, CuttingRelay
from tests.guests.lab.root_tree import TreeRecipe, build_tree
from tests.guests.lab.ssh import make_key
from tests.integration.plays import CHECKOUT, Player, PlayResult

pytestmark = pytest.mark.skipif(not is_possible(), reason="needs root and systemd-nspawn")

SEED = 20260606
POINTS = int(os.environ.get("CUT_POINTS", "10"))
# One in the middle of the time.
QUICK = POINTS // 4 * 2 + 1
NUMBERS = [
    number if number == QUICK else pytest.param(number, marks=pytest.mark.thorough)
    for number in range(POINTS)
]
USER, PERSON = "runner", "packer"
# nspawn mounts memory over its directory, as Debian 13 does.
HIDDEN = "/tmp/hidden"  # noqa: S108
SECRET = "correct-horse-battery-staple"
PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "libpam-systemd", "openssh-server", "sudo", "python3", "iproute2"),
    *("procps", "waagent", "cloud-init"),
)
# cloud-init has no data source here and the agent no wire server: both are for the deprovisioning alone.
SCRIPT = f"""
touch "$1"/etc/cloud/cloud-init.disabled
chroot "$1" systemctl --quiet disable walinuxagent.service
for name in {USER} {PERSON}; do
  chroot "$1" useradd --create-home --shell /bin/bash $name
  echo "$name ALL=(ALL) NOPASSWD:ALL" > "$1"/etc/sudoers.d/$name
  echo {SECRET} | tee "$1"/home/$name/.bash_history > "$1"/home/$name/.netrc
done
echo "root:{SECRET}" | chroot "$1" chpasswd
mkdir -p "$1"/var/lib/waagent "$1"/var/lib/cloud/data "$1"/etc/salt/pki/minion
echo {SECRET} | tee "$1"/var/lib/waagent/ovf-env.xml "$1"/etc/salt/pki/minion/minion.pem > /dev/null
echo {SECRET} > "$1"/var/log/app.log
: > "$1"/etc/machine-id
"""


@pytest.fixture
def boot(guests_cache: Path, tmp_path: Path) -> Iterator[Callable[[], Container]]:
    """A function that boots a guest with an account for Ansible."""
    key = guests_cache / "key"
    public = make_key(key)
    base = build_tree(guests_cache, TreeRecipe("bookworm", PACKAGES, ("procps",), SCRIPT))
    started: list[Container] = []

    def start() -> Container:
        uid = _user_id(base)
        container = Container(
            base,
            tmp_path / f"guest{len(started)}",
            USER,
            key,
            {
                f"/home/{USER}/.ssh/authorized_keys": public + "\n",
                "/etc/hostname": HOSTNAME + "\n",
                "/opt/app/license.key": SECRET,
                HIDDEN: SECRET,
            },
        )
        home = container.places["layer"] / "home" / USER
        for path in (home, home / ".ssh", home / ".ssh" / "authorized_keys"):
            os.chown(path, uid, uid)
        started.append(container)
        container.boot()
        return container

    yield start
    for container in started:
        container.stop()


def _user_id(base: Path) -> int:
    line = next(
        line for line in (base / "etc/passwd").read_text().splitlines() if line.startswith(f"{USER}:")
    )
    return int(line.split(":")[2])


class Run(NamedTuple):
    """One run of the playbook through a relay: what came out, bytes that went through, seconds in which they
    did, seconds the whole run took."""

    played: PlayResult
    relayed: int
    active_seconds: float
    seconds: float
    was_cut: bool


def generalize(container: Container, work_dir: Path, cut: Cut | None = None) -> Run:
    work_dir.mkdir()
    before, after = work_dir / "before.yml", work_dir / "after.yml"
    before.write_text("- {name: Look around, ansible.builtin.command: cat /etc/machine-id}\n")
    told = f"{{dest: {work_dir / 'told'}, content: gone, mode: '600'}}, delegate_to: localhost"
    after.write_text(f"- {{name: Tell, ansible.builtin.copy: {told}, vars: {{ansible_connection: local}}}}\n")
    # Sockets have short paths only.
    with (
        CuttingRelay((ADDRESS, container.port), cut) as relay,
        tempfile.TemporaryDirectory(prefix="cp-") as sockets,
    ):
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5"
        inventory = work_dir / "inventory"
        inventory.write_text(
            f"guest ansible_host={ADDRESS} ansible_port={relay.port} ansible_user={USER} "
            f"ansible_ssh_private_key_file={container.ssh.key} ansible_ssh_common_args='{options}' "
            f"ansible_python_interpreter=/usr/bin/python3\n"
        )
        variables: dict[str, Any] = {
            "linux_generalize_confirm": HOSTNAME,
            "linux_generalize_accounts": [PERSON],
            "linux_generalize_extra_traces": ["/opt/app/*.key"],
            "linux_generalize_pre_tasks_file": str(before),
            "linux_generalize_post_tasks_file": str(after),
            "linux_generalize_wait_host": ADDRESS,
            "linux_generalize_wait_port": container.port,
            "linux_generalize_wait_timeout": 150,
        }
        begun = time.monotonic()
        played = Player(work_dir, {})(
            CHECKOUT / "playbooks" / "generalize_linux.yml",
            env={
                "ANSIBLE_INVENTORY": str(inventory),
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
            },
            generalize_linux_hosts="guest",
            **variables,
        )
        seconds = time.monotonic() - begun
        return Run(played, relay.relayed, relay.active_seconds, seconds, relay.was_cut.is_set())


def proved(container: Container) -> None:
    """The guest is off, and neither our audit nor grep finds anything."""
    assert container.wait_off(150), container.log.read_text(errors="replace")[-2000:]
    bad = [found for found in container.audit([USER, PERSON]) if found[2] != "info"]
    assert bad == []
    top = str(container.places["top"])
    found = container.look(["/bin/sh", "-c", 'grep -rls -- "$0" "$1" || true', SECRET, top])
    assert found == ""


@pytest.fixture(scope="module")
def whole() -> list[Run]:
    """What a run that nobody disturbed took; whoever makes the first one puts it there."""
    return []


def test_undisturbed_run_with_own_tasks_leaves_nothing_and_switches_off(
    boot: Callable[[], Container], tmp_path: Path, whole: list[Run]
) -> None:
    container = boot()
    container.ssh.run(f"test ! -e {HIDDEN}")
    run = generalize(container, tmp_path / "run")
    assert run.played.rc == 0, run.played.output
    proved(container)
    own_task = run.played.tasks["goldenimage.azure.linux_generalize : Look around"]
    assert len(own_task["stdout"]) == 32
    assert (tmp_path / "run" / "told").read_text() == "gone"
    whole.append(run)


@pytest.mark.parametrize("number", NUMBERS)
def test_run_after_a_cut_connection_ends_right(
    number: int, boot: Callable[[], Container], tmp_path: Path, whole: list[Run]
) -> None:
    container = boot()
    dice = random.Random(SEED + number)
    if not whole:  # the first test was not among those that were asked for
        undisturbed = boot()
        whole.append(generalize(undisturbed, tmp_path / "whole"))
        undisturbed.stop()
    known = whole[0]
    # Half of the points are in what is sent, the other half in the time in which it is, which is mostly time
    # that the guest works; each in a part of its own.
    part = (number // 2 + dice.random()) / (POINTS / 2)
    if number % 2:
        cut = Cut(after_seconds=part * known.active_seconds)
    else:
        cut = Cut(after_bytes=int(0.95 * part * known.relayed))
    first = generalize(container, tmp_path / "cut", cut)
    assert first.seconds < 4 * known.seconds + 60
    assert "Traceback" not in first.played.output
    assert first.was_cut or number % 2, "nothing was cut"
    if first.played.rc != 0 and container.is_running():
        # It goes on where it was, or the guest is on its way out and lets nobody in any more.
        second = generalize(container, tmp_path / "again")
        assert second.played.rc == 0 or container.wait_off(150), second.played.output
    proved(container)
