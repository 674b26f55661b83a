#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: vm
short_description: Make virtual machines from images, and delete them with all that came along
version_added: 0.1.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Makes a virtual machine from an image, with its data disks, an interface and, when asked, a public
    address.
  - Without O(subnet) and O(network_interfaces) the machine gets a virtual network and a security group of its
    own, with the names of the machine and C(-vnet) and C(-nsg), and the tag C(goldenimage_vm), by which they
    are found and deleted together with the machine.
  - Of an existing machine O(tags), O(size), O(power_state) and O(generalized) can be changed. Other options
    that differ are an error that names them.
  - Not compared, and without effect on an existing machine, are O(admin_password) and O(custom_data), which
    Azure does not return, and O(virtual_network), O(subnet), O(public_ip), O(open_ports),
    O(open_ports_from), O(plan), O(user_assigned_identities), O(boot_diagnostics) and the C(delete_option) of
    disks.
  - Everything that can be checked is checked before the first change. Where Azure refuses the machine after
    its network was made, the network is removed again. A machine that was made but did not come up is left
    for inspection.
options:
  resource_group:
    description: Resource group of the machine. It has to exist.
    type: str
    required: true
  name:
    description:
      - Name of the machine, 1 to 64 letters, digits, or any of C(. _ -), beginning with a letter or digit and
        ending with a letter, digit or C(_).
    type: str
    required: true
  state:
    description:
      - V(absent) deletes the machine with everything that came with it. That is its disks made from the
        image, disks, interfaces and public addresses that Azure was told to delete with it, and the network
        that was made for it.
      - Disks and interfaces that existed before the machine stay.
    type: str
    choices: [present, absent]
    default: present
  keep:
    description: What stays when the machine is deleted with O(state=absent).
    type: list
    elements: str
    choices: [os_disk, data_disks]
    default: []
  location:
    description: Region. The default is that of the managed image, or else of the resource group.
    type: str
  image:
    description:
      - The image to make the machine from. Needed when the machine is not there yet.
      - As a string, C(publisher:offer:sku:version) of a Marketplace image; C(gallery/definition) or
        C(gallery/definition/version) in O(resource_group); the name of a managed image in O(resource_group);
        or the id of a managed image, of a gallery's image definition or image version, or of an image in a
        shared or community gallery.
      - As a dictionary, C(publisher), C(offer), C(sku) and C(version) (default V(latest)) of a Marketplace
        image; C(gallery), C(definition) and perhaps C(version); C(name) and C(resource_group) of a managed
        image; or one of C(id), C(shared_gallery_image_id) and C(community_gallery_image_id).
      - It is looked up first. What Azure would make no machine of is refused before anything is made.
    type: raw
  os_type:
    description: Operating system of the image. It is read from managed images; for others V(Linux) is the
      default.
    type: str
    choices: [Linux, Windows]
  size:
    description:
      - Size of the machine. A new one gets V(Standard_D2s_v5) when nothing is said.
      - Azure restarts a running machine when its size is changed.
    type: str
  admin_username:
    description: Name of the administrator's account. Needed for a new machine from a generalized image.
    type: str
  ssh_public_keys:
    description: SSH public keys of the administrator, of type ssh-rsa (2048 bits or more) or ssh-ed25519.
    type: list
    elements: str
  admin_password:
    description:
      - Password of the administrator. Needed for Windows. With a password, Linux allows logging in by
        password too.
    type: str
  computer_name:
    description: Host name. The default is O(name). Up to 64 characters for Linux and 15 for Windows.
    type: str
  custom_data:
    description: Text for the machine's first boot, such as a cloud-init configuration. It is sent encoded as
      Azure wants it.
    type: str
  os_disk:
    description: Operating system disk.
    type: dict
    suboptions:
      name: &disk_name
        description: Name of the disk. Azure chooses one when nothing is said.
        type: str
      size_gb:
        description: Size in GiB, not less than the image's, which is the default.
        type: int
      storage_account_type: &storage_account_type
        description: Kind of storage, for example V(Premium_LRS), V(StandardSSD_LRS) or V(Standard_LRS).
        type: str
      caching: &caching
        description: Host caching.
        type: str
        choices: ['None', ReadOnly, ReadWrite]
      delete_option: &delete_option
        description: Whether the disk is deleted with the machine or stays. O(keep) decides when this module
          deletes.
        type: str
        choices: [Delete, Detach]
        default: Delete
  data_disks:
    description: Empty data disks in addition to those of the image, which the machine gets by itself with
      their LUNs.
    type: list
    elements: dict
    suboptions:
      lun:
        description: Logical unit number, 0 to 63, other than those of the image's data disks.
        type: int
        required: true
      size_gb:
        description: Size in GiB.
        type: int
        required: true
      name: *disk_name
      storage_account_type: *storage_account_type
      caching: *caching
      delete_option: *delete_option
  virtual_network:
    description: Name or id of the virtual network that O(subnet) is in. A name is looked up in
      O(resource_group).
    type: str
  subnet:
    description: Id of the subnet of the machine, or its name together with O(virtual_network).
    type: str
  network_interfaces:
    description: Ids of existing interfaces for the machine. The first one is its primary interface.
    type: list
    elements: str
  public_ip:
    description: Whether the machine gets a public address, which is deleted with it.
    type: bool
    default: false
  open_ports:
    description: TCP ports that the security group of the machine's own network lets in. Without any, nothing
      comes in.
    type: list
    elements: int
    default: []
  open_ports_from:
    description: Address ranges that O(open_ports) are open to, in CIDR notation. The default is everywhere.
    type: list
    elements: str
    default: ['*']
  zone:
    description: Availability zone.
    type: str
  security_type:
    description: Security type. Azure makes only V(Standard) machines from managed images.
    type: str
    choices: [Standard, TrustedLaunch, ConfidentialVM]
  plan:
    description:
      - Plan of the image's offer, which some Marketplace images demand, and what was made of them.
      - When not set, it is the image's own, as far as that can be read. Its terms have to be accepted, see
        M(goldenimage.azure.marketplace_terms).
    type: dict
    suboptions:
      name:
        description: Name of the plan.
        type: str
        required: true
      product:
        description: Product, which is the image's offer.
        type: str
        required: true
      publisher:
        description: Publisher.
        type: str
        required: true
  user_assigned_identities:
    description: Ids of the managed identities of the machine.
    type: list
    elements: str
  boot_diagnostics:
    description: Whether Azure keeps the console's output and a screenshot of a new machine.
    type: bool
    default: true
  power_state:
    description:
      - V(running) starts the machine, V(stopped) shuts it down and keeps it allocated, V(deallocated) shuts
        it down and gives its hardware back. A deallocated machine counts as stopped too.
      - A new machine runs when nothing is said.
    type: str
    choices: [running, stopped, deallocated]
  generalized:
    description:
      - V(true) marks the machine generalized, so that images can be made of it. It cannot be started any more
        then.
      - Remove the identity of its operating system first. The machine has to be stopped;
        O(power_state=deallocated) or O(power_state=stopped) stops it before it is marked.
    type: bool
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.tags
  - goldenimage.azure.wait
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
notes:
  - With O(wait=false) a machine is returned while Azure makes it. The next run waits for it; that is how
    several machines are made at the same time.
  - With O(state=absent) and O(wait=false) the machine's own network stays until the next run with
    O(state=absent).
seealso:
  - module: goldenimage.azure.vm_info
  - module: goldenimage.azure.managed_image
"""

EXAMPLES = r"""
- name: Make a machine from a managed image, reachable by SSH
  goldenimage.azure.vm:
    resource_group: web
    name: web-1
    image: /subscriptions/SUBSCRIPTION/resourceGroups/images/providers/Microsoft.Compute/images/web-1.0
    size: Standard_B2s
    admin_username: azureuser
    ssh_public_keys:
      - "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"
    public_ip: true
    open_ports: [22]
    open_ports_from: [203.0.113.0/24]
  register: created

- name: Make a machine in an existing network with one more disk
  goldenimage.azure.vm:
    resource_group: web
    name: web-2
    image: web-1.0
    admin_username: azureuser
    ssh_public_keys:
      - "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"
    virtual_network: corporate
    subnet: servers
    data_disks:
      - lun: 10
        size_gb: 64
        storage_account_type: StandardSSD_LRS

- name: Stop a machine whose operating system was generalized, and mark it
  goldenimage.azure.vm:
    resource_group: build
    name: build-web
    power_state: deallocated
    generalized: true

- name: Delete a machine but keep its data disks
  goldenimage.azure.vm:
    resource_group: web
    name: web-1
    state: absent
    keep: [data_disks]
"""

RETURN = r"""
vm:
  description: The machine; in check mode as it would be. Null when it was deleted or is not there.
  returned: success
  type: dict
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
    resource_group:
      description: Resource group.
      type: str
      returned: always
      sample: web
    location:
      description: Region.
      type: str
      returned: always
      sample: westeurope
    zones:
      description: Availability zone, if any.
      type: list
      elements: str
      returned: always
    size:
      description: Size.
      type: str
      returned: always
      sample: Standard_D2s_v5
    image:
      description: What it was made from, as Azure tells it, for example id.
      type: dict
      returned: always
    os_type:
      description: Linux or Windows.
      type: str
      returned: always
      sample: Linux
    computer_name:
      description: Host name.
      type: str
      returned: always
      sample: web-1
    admin_username:
      description: Name of the administrator's account.
      type: str
      returned: always
      sample: azureuser
    os_disk:
      description: >-
        Operating system disk: name, id, size_gb, storage_account_type, caching, create_option, delete_option.
      type: dict
      returned: always
    data_disks:
      description: Data disks in the order of their LUNs, with lun and the keys of RV(vm.os_disk).
      type: list
      elements: dict
      returned: always
    network_interfaces:
      description: Ids of its interfaces.
      type: list
      elements: str
      returned: always
    public_ip_addresses:
      description: Public addresses. Empty in check mode, and until Azure has given them out.
      type: list
      elements: str
      returned: always
      sample: [203.0.113.7]
    private_ip_addresses:
      description: Private addresses. Empty in check mode.
      type: list
      elements: str
      returned: always
      sample: [10.0.0.4]
    security_type:
      description: Security type, null for a standard machine.
      type: str
      returned: always
    user_assigned_identities:
      description: Ids of its managed identities.
      type: list
      elements: str
      returned: always
    power_state:
      description: running, stopped, deallocated, or a state on the way to one of them. Null while not known.
      type: str
      returned: always
      sample: running
    generalized:
      description: Whether it is marked generalized.
      type: bool
      returned: always
    provisioning_state:
      description: Azure's state of the machine.
      type: str
      returned: always
      sample: Succeeded
    vm_id:
      description: Azure's unique id of the machine.
      type: str
      returned: always
    tags:
      description: Tags.
      type: dict
      returned: always
actions:
  description: One sentence for each change.
  returned: success
  type: list
  elements: str
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.virtual_machine import ensure_vm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_removal import remove_vm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    TAGS_SPEC,
    WAIT_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)

_DISK_SPEC: dict[str, Any] = {
    "name": {"type": "str"},
    "size_gb": {"type": "int"},
    "storage_account_type": {"type": "str"},
    "caching": {"type": "str", "choices": ["None", "ReadOnly", "ReadWrite"]},
    "delete_option": {"type": "str", "choices": ["Delete", "Detach"], "default": "Delete"},
}
_DATA_DISK_SPEC: dict[str, Any] = {
    **_DISK_SPEC,
    "lun": {"type": "int", "required": True},
    "size_gb": {"type": "int", "required": True},
}
_PLAN_SPEC: dict[str, Any] = {
    member: {"type": "str", "required": True} for member in ("name", "product", "publisher")
}


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    bring = ensure_vm if options["state"] == "present" else remove_vm
    done = bring(
        session,
        VmRequest.from_options(options),
        check_mode=module.check_mode,
        waiter=waiter_from(module),
    )
    return Outcome.of("vm", done)


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "keep": {"type": "list", "elements": "str", "choices": ["os_disk", "data_disks"], "default": []},
            "location": {"type": "str"},
            "image": {"type": "raw"},
            "os_type": {"type": "str", "choices": ["Linux", "Windows"]},
            "size": {"type": "str"},
            "admin_username": {"type": "str"},
            "ssh_public_keys": {"type": "list", "elements": "str", "no_log": False},
            "admin_password": {"type": "str", "no_log": True},
            "computer_name": {"type": "str"},
            "custom_data": {"type": "str", "no_log": True},
            "os_disk": {"type": "dict", "options": _DISK_SPEC},
            "data_disks": {"type": "list", "elements": "dict", "options": _DATA_DISK_SPEC},
            "virtual_network": {"type": "str"},
            "subnet": {"type": "str"},
            "network_interfaces": {"type": "list", "elements": "str"},
            "public_ip": {"type": "bool", "default": False},
            "open_ports": {"type": "list", "elements": "int", "default": []},
            "open_ports_from": {"type": "list", "elements": "str", "default": ["*"]},
            "zone": {"type": "str"},
            "security_type": {"type": "str", "choices": ["Standard", "TrustedLaunch", "ConfidentialVM"]},
            "plan": {"type": "dict", "options": _PLAN_SPEC},
            "user_assigned_identities": {"type": "list", "elements": "str"},
            "boot_diagnostics": {"type": "bool", "default": True},
            "power_state": {"type": "str", "choices": ["running", "stopped", "deallocated"]},
            "generalized": {"type": "bool"},
            **TAGS_SPEC,
            **WAIT_SPEC,
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
