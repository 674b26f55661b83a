#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: vm_twin
short_description: Make a disposable twin of a virtual machine, which is left alone
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Copies all disks of a virtual machine as they are at one moment, and makes another machine of the copies -
    with the same LUNs, caching, kinds and sizes of disks, generation, security type, disk controller, zone,
    plan and encryption sets - so that an image can be made of the other one.
  - The source is only read. It is never stopped and nothing about it is changed, not even a tag.
  - Everything is made in a resource group of the twin's own, with a network of its own and without a public
    address, and carries the tags C(goldenimage_temporary), C(goldenimage_build), C(goldenimage_expires) and
    C(goldenimage_source) from the request that makes it. M(goldenimage.azure.garbage) removes what was left
    behind once it has expired. The twin has the source's C(vm_id) in C(goldenimage_source_vm_id) as well,
    which M(goldenimage.azure.vm_capture) puts on its images.
  - A run that was interrupted, at whatever point, is gone on with by the next run with the same O(build_id),
    unless what it left has expired; then that is removed and everything made anew.
  - Everything that can be checked is checked before the first change, and all that speaks against the twin is
    told together - missing rights, locks, disks that cannot be copied, quotas of machines, processors, disks
    and snapshots. When Azure refuses something afterwards, what had been made is removed again.
options:
  source_vm:
    description:
      - Id of the virtual machine, or its name together with O(resource_group).
      - Needed for O(state=present). For O(state=absent) either it or O(build_id).
    type: str
  resource_group:
    description: Resource group of the virtual machine when O(source_vm) is its name.
    type: str
  state:
    description:
      - V(absent) removes the twin's resource group with the twin, its network, the copies and everything else
        that the build made. The source machine need not be there any more.
      - It is refused when something in the group does not carry the build's tags, other than what is a part
        of a resource that does, such as an extension of the twin.
    type: str
    choices: [present, absent]
    default: present
  build_id:
    description:
      - Name of the run, by which its resources are found again, 1 to 40 lower-case letters, digits or
        hyphens.
      - The default is derived from the source, so that there is one twin of a machine at a time. Give one to
        have several.
    type: str
  expires_after:
    description:
      - Hours after which M(goldenimage.azure.garbage) may remove the twin. Counted from the creation, and
        anew when an interrupted run is gone on with, or a twin found that has expired.
    type: int
    default: 24
  name:
    description: Name of the twin. The default is the source's with C(-twin).
    type: str
  twin_resource_group:
    description:
      - Name of the twin's resource group. The default is C(goldenimage-twin-) and the build's id.
      - A group of this name that exists and was not made by this build is refused.
    type: str
  size:
    description: Size of the twin. The default is the source's.
    type: str
  subnet:
    description:
      - Id of an existing subnet to connect the twin to. Without it the twin gets a virtual network of its
        own, which is connected to nothing.
      - A twin in a network of the source reaches what the source reaches there, with the source's own
        credentials.
    type: str
  public_ip:
    description: Whether the twin gets a public address.
    type: bool
    default: false
  open_ports:
    description: TCP ports that the twin's security group lets in from O(open_ports_from).
    type: list
    elements: int
    default: []
  open_ports_from:
    description: Address ranges that O(open_ports) are open to, in CIDR notation. The default is everywhere.
    type: list
    elements: str
    default: ['*']
  internet_access:
    description:
      - Whether the twin may connect to the Internet, Azure's own services included. A twin comes up with the
        services and credentials of its source, and could do the source's work a second time.
      - Azure's run commands and extensions need it.
    type: bool
    default: false
  method:
    description:
      - V(restore_point) copies all disks at one moment. V(snapshots) makes one snapshot after the other,
        incremental ones where Azure makes those.
      - The default is V(restore_point) unless Azure makes none of the disks, which are those of kind
        C(UltraSSD_LRS) and C(PremiumV2_LRS).
    type: str
    choices: [restore_point, snapshots]
  consistency:
    description:
      - What a restore point has to be worth. V(crash) is what a power failure would leave, and needs nothing
        of the guest.
      - V(file_system) and V(application) have Azure's extension in the source's guest hold its file systems
        or applications still for a moment.
    type: str
    choices: [crash, file_system, application]
    default: crash
  keep_on_failure:
    description: Whether what was made is kept for a look when the twin cannot be made.
    type: bool
    default: false
  tags:
    description: More tags for everything that is made.
    type: dict
    default: {}
  wait_timeout:
    description:
      - Seconds to wait for each of Azure's operations. What was made is kept when they are over, and the next
        run goes on.
    type: int
    default: 1800
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
notes:
  - Left out of the twin are identities, extensions, availability sets, scale sets, hosts, Spot and
    reservations.
  - Accounts, keys and host name are those of the source. A twin that is stopped or generalized stays so.
  - Of a twin that exists O(size) and O(public_ip) are compared, and a difference is an error. Other options
    have no effect on it.
  - The rights needed are Contributor in the subscription, or the actions that an error names.
seealso:
  - module: goldenimage.azure.garbage
  - module: goldenimage.azure.vm
"""

EXAMPLES = r"""
- name: Make a twin of a running machine, reachable from this network only
  goldenimage.azure.vm_twin:
    resource_group: web
    source_vm: web-1
    public_ip: true
    open_ports: [22]
    open_ports_from: [203.0.113.0/24]
  register: made

- name: Make it a host of this run
  ansible.builtin.add_host:
    name: "{{ made.twin.name }}"
    ansible_host: "{{ (made.twin.public_ip_addresses + made.twin.private_ip_addresses) | first }}"
    ansible_user: "{{ made.twin.admin_username }}"

- name: Make a twin in a subnet that the controller reaches
  goldenimage.azure.vm_twin:
    source_vm: "{{ existing.vm.id }}"
    subnet: "{{ builds_subnet_id }}"
    build_id: web-2026-03
    expires_after: 6

- name: Remove the twin and everything that came with it
  goldenimage.azure.vm_twin:
    build_id: web-2026-03
    state: absent
"""

RETURN = r"""
twin:
  description:
    - The twin, with the keys that RV(goldenimage.azure.vm#module:vm) has, and those below. In check mode as
      it would be, without addresses. Null when it was removed or is not there.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
    name:
      description: Name.
      type: str
      returned: always
      sample: web-1-twin
    resource_group:
      description: The resource group of the twin and all that belongs to it.
      type: str
      returned: always
      sample: goldenimage-twin-3f2a9b1c0d4e5f60
    admin_username:
      description: The administrator's account, which is the source's. Null where Azure does not know it.
      type: str
      returned: always
      sample: azureuser
    computer_name:
      description: Host name, which is the source's. Null where Azure does not know it.
      type: str
      returned: always
      sample: web-1
    os_type:
      description: Linux or Windows.
      type: str
      returned: always
      sample: Linux
    power_state:
      description: running, stopped, deallocated, or a state on the way to one of them. Null while not known.
      type: str
      returned: always
      sample: running
    generalized:
      description: Whether it is marked generalized.
      type: bool
      returned: always
    public_ip_addresses:
      description: Public addresses.
      type: list
      elements: str
      returned: always
    private_ip_addresses:
      description: Private addresses.
      type: list
      elements: str
      returned: always
      sample: [10.0.0.4]
    os_disk:
      description: >-
        Operating system disk: name, id, size_gb, storage_account_type, caching, create_option, delete_option.
      type: dict
      returned: always
    data_disks:
      description: Data disks in the order of their LUNs, with lun and the keys of RV(twin.os_disk).
      type: list
      elements: dict
      returned: always
    build_id:
      description: The build that made it.
      type: str
      returned: always
      sample: 3f2a9b1c0d4e5f60
    expires:
      description: When it may be collected.
      type: str
      returned: always
      sample: '2026-03-02T12:00:00Z'
    source_id:
      description: Resource id of the machine that it is a twin of.
      type: str
      returned: always
    source_vm_id:
      description: Azure's unique id of that machine, null when it is gone.
      type: str
      returned: always
    copied_by:
      description: restore_point or snapshots. Null when an earlier run copied the disks.
      type: str
      returned: always
      sample: restore_point
actions:
  description: One sentence for each change.
  returned: success
  type: list
  elements: str
failure:
  description:
    - What Azure said - code, message, target, status, request_id - and what to do, remedy. A refusal has
      findings, each with id, what, where and remedy.
  returned: failure
  type: dict
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import DEFAULT_HOURS
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin import ensure_twin, remove_twin
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import TwinRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    WAIT_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    waiter = waiter_from(module)
    now = datetime.now(timezone.utc)
    request = TwinRequest.from_options(options, session.subscription_id, now)
    if options["state"] == "present":
        done = ensure_twin(session, request, check_mode=module.check_mode, waiter=waiter, now=now)
    else:
        done = remove_twin(session, request, check_mode=module.check_mode, waiter=waiter)
    return Outcome.of("twin", done)


def main() -> None:
    module = azure_module(
        {
            "source_vm": {"type": "str"},
            "resource_group": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "build_id": {"type": "str"},
            "expires_after": {"type": "int", "default": DEFAULT_HOURS},
            "name": {"type": "str"},
            "twin_resource_group": {"type": "str"},
            "size": {"type": "str"},
            "subnet": {"type": "str"},
            "public_ip": {"type": "bool", "default": False},
            "open_ports": {"type": "list", "elements": "int", "default": []},
            "open_ports_from": {"type": "list", "elements": "str", "default": ["*"]},
            "internet_access": {"type": "bool", "default": False},
            "method": {"type": "str", "choices": ["restore_point", "snapshots"]},
            "consistency": {
                "type": "str",
                "choices": ["crash", "file_system", "application"],
                "default": "crash",
            },
            "keep_on_failure": {"type": "bool", "default": False},
            "tags": {"type": "dict", "default": {}},
            "wait_timeout": WAIT_SPEC["wait_timeout"],
        },
        required_if=[("state", "present", ["source_vm"])],
    )
    run(module, work)


if __name__ == "__main__":
    main()
