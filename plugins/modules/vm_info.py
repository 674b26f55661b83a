#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: vm_info
short_description: List virtual machines with their state and addresses
version_added: 0.1.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Lists the virtual machines of a resource group or of the whole subscription, or looks one up by its name.
  - Power state and addresses are read of each machine, so that a long list takes several requests per
    machine.
options:
  resource_group:
    description: Resource group to look in. Without it the whole subscription is looked through.
    type: str
  name:
    description: Name of a virtual machine. One that is not there is no error, the list is empty then.
    type: str
  tags:
    description: List only machines that have all these tags, each given as C(name) or C(name:value).
    type: list
    elements: str
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.vm
"""

EXAMPLES = r"""
- name: Look one machine up
  goldenimage.azure.vm_info:
    resource_group: web
    name: web-1
  register: found

- name: Show the public addresses of all machines of a resource group
  goldenimage.azure.vm_info:
    resource_group: web
  register: machines

- name: Say them
  ansible.builtin.debug:
    msg: "{{ machines.vms | map(attribute='public_ip_addresses') | flatten }}"
"""

RETURN = r"""
vms:
  description: The machines, in the order of their ids, with the keys that M(goldenimage.azure.vm) returns.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
      sample: /subscriptions/SUBSCRIPTION/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web-1
    name:
      description: Name.
      type: str
      returned: always
      sample: web-1
    power_state:
      description: Power state.
      type: str
      returned: always
      sample: running
    public_ip_addresses:
      description: Public addresses.
      type: list
      elements: str
      returned: always
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.selection import select
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_facts import listed_vm_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    machines = select(
        session.compute.virtual_machines,
        options["resource_group"],
        options["name"],
        options["tags"],
        lambda machine: listed_vm_facts(session, machine),
    )
    return Outcome(changed=False, result={"vms": machines})


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str"},
            "name": {"type": "str"},
            "tags": {"type": "list", "elements": "str"},
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
