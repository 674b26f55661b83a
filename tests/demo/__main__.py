# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""``make demo``: the main job with the shipped playbooks, a real machine and the local Azure.

Exit status 0 when every check passed. Writes ``.build/demo/report.json``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.demo.born_machines import Machine, look_at, problems_of
from tests.demo.phases import Phases
from tests.demo.playbooks import CHECKOUT, PlaybookError, Playbooks
from tests.demo.report import print_report, write_report
from tests.demo.source_machine import SourceMachine, start_source_machine
from tests.guests.lab.ssh import SshError, connected, make_key, wait_for_ssh
from tests.integration.cloud import LocalAzure

RESOURCE_GROUP = "golden-images"
LOCATION = "westeurope"
IMAGE = "debian-12"
MACHINES = ("web1", "web2")
ADMIN_USER = "azureuser"
# A boot without KVM takes about a minute; a busy machine may need several.
BOOT_SECONDS = 900


class Demo:
    """The steps of the main job, in their order; `report` grows with each."""

    def __init__(self, work_dir: Path, phases: Phases) -> None:
        self.work_dir = work_dir
        self.phases = phases
        self.azure = LocalAzure(work_dir / "local-azure", "--guests")
        self.report: dict[str, Any] = {"problems": []}

    def run(self, cleanup: ExitStack) -> None:
        """All steps. Whatever was started is registered with `cleanup`."""
        with self.phases.phase("source", "A machine runs elsewhere: Debian 12 with a data disk"):
            source = start_source_machine(self.work_dir / "elsewhere", self.phases.say)
            cleanup.callback(source.stop)
            before = source.look()
        with self.phases.phase(
            "generalize", "It is generalized over SSH and powers off; its disk is audited"
        ):
            self.generalize(source)
        with self.phases.phase("local_azure", "The local Azure starts, with an empty resource group"):
            self.azure.start()
            cleanup.callback(self.azure.stop)
            self.azure.put(self.azure.id(RESOURCE_GROUP), {"location": LOCATION})
        playbooks = Playbooks(self.work_dir, self.azure.env, self.phases.say)
        with self.phases.phase("upload", "Its disks are uploaded and become a VM image and an OS image"):
            self.upload(playbooks, source)
        with self.phases.phase("provision", "Two machines are born from the VM image"):
            addresses = self.provision(playbooks)
        with self.phases.phase("verify", "What they say of themselves is checked over SSH"):
            self.verify(addresses, source, before)

    def generalize(self, source: SourceMachine) -> None:
        """Role linux_generalize over SSH; the audit reads the disks that the machine left behind."""
        playbooks = Playbooks(self.work_dir, {}, self.phases.say)
        playbooks.run(
            "generalize_linux",
            {"generalize_linux_hosts": "elsewhere", "linux_generalize_confirm": source.hostname},
            source.guest.inventory_line("elsewhere"),
        )
        self.phases.say("waiting for the machine to be off")
        source.wait_off(120)
        audit = playbooks.run(
            "audit_disk",
            {
                "audit_disk_paths": str(source.os_disk),
                "audit_disk_accounts": source.user,
                "audit_disk_hostnames": source.hostname,
            },
        )
        self.report["traces_left"] = sum(audit.custom_stats["audit_disk_traces_left"].values())

    def upload(self, playbooks: Playbooks, source: SourceMachine) -> None:
        """Both disks, and both kinds of image."""
        done = playbooks.run(
            "upload_image",
            {
                "upload_image_resource_group": RESOURCE_GROUP,
                "upload_image_name": IMAGE,
                "upload_image_os_disk": str(source.os_disk),
                "upload_image_data_disks": [str(source.data_disk)],
                "upload_image_kinds": "vm_image,os_image",
            },
        )
        uploads = [upload for upload in done.of_module("disk_upload") if "seconds" in upload]
        self.report["image_ids"] = done.custom_stats["upload_image_ids"]
        self.report["bytes_read"] = sum(upload["bytes_read"] for upload in uploads)
        self.report["bytes_sent"] = sum(upload["bytes_sent"] for upload in uploads)

    def provision(self, playbooks: Playbooks) -> dict[str, str]:
        """Two machines at once; their addresses by name."""
        done = playbooks.run(
            "provision_vm",
            {
                "provision_vm_resource_group": RESOURCE_GROUP,
                "provision_vm_names": ",".join(MACHINES),
                "provision_vm_image": self.report["image_ids"]["vm_image"],
                "provision_vm_admin_user": ADMIN_USER,
                "provision_vm_ssh_public_keys": make_key(self.key),
                "provision_vm_public_ip": True,
                "provision_vm_wait_for_ssh": True,
                "provision_vm_ssh_port": self.ssh_port,
                "provision_vm_ssh_timeout": BOOT_SECONDS,
            },
        )
        machines = done.custom_stats["provision_vm_machines"]
        return {machine["name"]: machine["public_ip_addresses"][0] for machine in machines}

    def verify(self, addresses: dict[str, str], source: SourceMachine, before: Machine) -> None:
        """Look at each machine and put what is wrong into the report."""
        born = []
        for name, address in addresses.items():
            with connected(address, self.ssh_port, ADMIN_USER, self.key) as guest:
                # The port answers before cloud-init has restarted the SSH server with keys of its own.
                wait_for_ssh(guest, BOOT_SECONDS)
                born.append(look_at(name, guest, source.user, source.data_file))
        self.report["machines"] = born
        self.report["problems"] += problems_of(born, before, ADMIN_USER, source.data_content)

    @property
    def key(self) -> Path:
        return self.work_dir / "admin_key"

    @property
    def ssh_port(self) -> int:
        return int(self.azure.env["LOCAL_AZURE_GUEST_SSH_PORT"])


def processes_of(work_dir: Path) -> list[str]:
    """The programs that still run with a file of `work_dir` on their command line."""
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile, or is none of our business
            continue
        if str(work_dir) in command and int(process.name) not in (os.getpid(), os.getppid()):
            left.append(f"process {process.name} was left behind: {command[:120].strip()}")
    return left


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=CHECKOUT / ".build" / "demo")
    work_dir = parser.parse_args().work_dir.resolve()
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    # A terminated run cleans up like an interrupted one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    phases = Phases()
    demo = Demo(work_dir, phases)
    problems: list[str] = demo.report["problems"]
    try:
        with ExitStack() as cleanup:
            demo.run(cleanup)
        problems += processes_of(work_dir)
    except (PlaybookError, SshError) as error:
        problems.append(str(error))
    except BaseException as error:
        problems.append(f"The demo was ended by {type(error).__name__}")
        raise
    finally:
        write_report(work_dir / "report.json", demo.report, phases)
    print_report(demo.report, phases, work_dir / "report.json")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
