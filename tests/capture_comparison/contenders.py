# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Those who capture: ours, azure-cli and azure.azcollection, each as its user would call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.capture_comparison.work import GALLERY, GROUP, Task
from tests.fidelity import azcollection, azure_cli
from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player

OURS = "ours"
_PLAYBOOK = Path(__file__).parent / "azcollection.yml"


class Contender(NamedTuple):
    """`capture` raises AssertionError when the program ends with an error."""

    words: str
    capture: Callable[[Task], None]


def contenders(azure: LocalAzure, folder: Path) -> dict[str, Contender]:
    """All three, installed, and signed in where that is not part of every call.

    :param folder: for what they keep between their calls
    """
    return {
        OURS: _ours(azure, folder / "ours"),
        "azure-cli": _azure_cli(azure, folder / "azure-cli"),
        "azcollection": _azcollection(azure, folder / "azcollection"),
    }


def _ours(azure: LocalAzure, folder: Path) -> Contender:
    folder.mkdir()
    play = Player(folder, azure.env)

    def capture(task: Task) -> None:
        target = {
            "image": {"type": "managed_image", "name": task.name},
            "version": {
                "type": "gallery_version",
                "gallery": GALLERY,
                "definition": task.name,
                "version": "1.0.0",
            },
        }[task.job]
        options = {"resource_group": GROUP, "source_vm": task.name, "stop": True, "assume_generalized": True}
        play.module("vm_capture", {**options, "targets": [target]}, timeout=900).succeeded()

    return Contender("`vm_capture`, one task of a playbook", capture)


def _azure_cli(azure: LocalAzure, folder: Path) -> Contender:
    folder.mkdir()
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text(azure.secret, encoding="utf-8")
    az = azure_cli.register(azure, folder / "config")
    azure_cli.sign_in(az, azure, secret)
    az("account", "set", "--subscription", azure.subscription_id)

    def capture(task: Task) -> None:
        machine = ("--resource-group", GROUP, "--name", task.name)
        az("vm", "deallocate", *machine)
        az("vm", "generalize", *machine)
        if task.job == "image":
            az("image", "create", *machine, "--source", task.name)
        else:
            az(
                *("sig", "image-version", "create", "--resource-group", GROUP, "--gallery-name", GALLERY),
                *("--gallery-image-definition", task.name, "--gallery-image-version", "1.0.0"),
                *("--virtual-machine", task.machine),
            )

    words = "`az vm deallocate`, `az vm generalize`, then `az image create` or `az sig image-version create`"
    return Contender(f"azure-cli {azure_cli.VERSION}: {words}", capture)


def _azcollection(azure: LocalAzure, folder: Path) -> Contender:
    folder.mkdir()
    client = azcollection.Azcollection(azure.env, folder)

    def capture(task: Task) -> None:
        client.play(
            _PLAYBOOK, job=task.job, group=GROUP, gallery=GALLERY, machine=task.name, machine_id=task.machine
        )

    words = "`azure_rm_virtualmachine`, then `azure_rm_image` or `azure_rm_galleryimageversion`, a playbook"
    return Contender(f"azure.azcollection, from {azcollection.ANSIBLE}: {words}", capture)
