#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: guest_provisioning
short_description: Configure cloud-init and the Azure Linux Agent together
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Gives each task of a new machine to one of cloud-init and the Azure Linux Agent, so that they do not get
    in each other's way - accounts and keys, the temporary disk, swap on it, the network.
  - Writes C(/etc/cloud/cloud.cfg.d/99_azure.cfg), sets the keys concerned in C(/etc/waagent.conf), and
    removes what switches cloud-init off, or forbids the file system of Azure's provisioning medium.
  - Both have to be installed. Neither is restarted, nor does anything change on the running machine.
options:
  provisioned_by:
    description:
      - Who provisions new machines. With V(waagent) cloud-init is switched off if it is installed.
    type: str
    choices: [cloud-init, waagent]
    default: cloud-init
  agent:
    description: Whether the Azure Linux Agent is part of the image.
    type: bool
    default: true
  datasources:
    description:
      - Where cloud-init looks for the description of its machine. The first that answers counts, and each
        that does not costs time.
    type: list
    elements: str
    default: [Azure]
  network_configured_by:
    description:
      - As in M(goldenimage.azure.guest_network). With V(cloud-init) the network that Ubuntu's installers left
        in cloud-init's settings goes, and other settings that name one are refused.
    type: str
    choices: [image, cloud-init]
    default: image
  mount_point:
    description: Where the temporary disk is mounted, on machines that have one.
    type: str
    default: /mnt
  agent_swap_mib:
    description: Size of the swap file that the agent makes on the temporary disk, in MiB, when it provisions.
    type: int
    default: 0
  telemetry:
    description: Have cloud-init report its stages to the host, where support finds why a birth failed.
    type: bool
    default: true
attributes:
  check_mode:
    description: In check mode the module says what it would change; nothing is changed.
    support: full
  diff_mode:
    description: In diff mode the files before and after are returned.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
seealso:
  - module: goldenimage.azure.guest_network
"""

EXAMPLES = r"""
- name: Have cloud-init provision machines on Azure
  goldenimage.azure.guest_provisioning:
  become: true

- name: Have the agent do it, with 4 GiB of swap on the temporary disk
  goldenimage.azure.guest_provisioning:
    provisioned_by: waagent
    mount_point: /mnt/resource
    agent_swap_mib: 4096
  become: true
"""

RETURN = r"""
files:
  description: The files that were written or removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/waagent.conf, /etc/cloud/cloud.cfg.d/99_azure.cfg]
"""

from typing import Any, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.programs import check_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    make_changes,
    result_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.provisioning import (
    Provisioning,
    plan_provisioning,
)


def main() -> None:
    module = cast(Any, AnsibleModule)(
        argument_spec={
            "provisioned_by": {"type": "str", "choices": ["cloud-init", "waagent"], "default": "cloud-init"},
            "agent": {"type": "bool", "default": True},
            "datasources": {"type": "list", "elements": "str", "default": ["Azure"]},
            "network_configured_by": {"type": "str", "choices": ["image", "cloud-init"], "default": "image"},
            "mount_point": {"type": "str", "default": "/mnt"},
            "agent_swap_mib": {"type": "int", "default": 0},
            "telemetry": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    wanted = Provisioning(
        by=given["provisioned_by"],
        agent=given["agent"],
        datasources=tuple(given["datasources"]),
        network_by_cloud_init=given["network_configured_by"] == "cloud-init",
        mount_point=given["mount_point"],
        agent_swap_mib=given["agent_swap_mib"],
        telemetry=given["telemetry"],
    )
    try:
        check_root("Configuring cloud-init and the agent")
        guest = Guest(LiveRoot("/"))
        changes = plan_provisioning(guest, wanted)
        if not module.check_mode:
            make_changes(guest.tree, changes)
    except (GuestError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result_of(changes, module._diff))


if __name__ == "__main__":
    main()
