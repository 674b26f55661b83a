#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: guest_network
short_description: Have a Linux machine take its network from Azure's DHCP
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Finds out which program sets up the network at boot - netplan, NetworkManager, systemd-networkd, wicked or
    ifupdown - and writes DHCP for every network card into its files. Routes of the first card, C(eth0), are
    preferred.
  - Removes what was configured for the present network - addresses, gateways, names of cards, bonds and VLANs
    on them. Bridges, tunnels and the like of programs on the machine stay.
  - Leaves virtual functions, the fast path of accelerated networking, to their synthetic cards.
  - Nothing is restarted, so the connection in use stays. All this takes effect at the next boot; where the
    machine runs now it needs DHCP from then on, too.
options:
  renderer:
    description: The program that sets up the network; V(auto) looks which one is enabled.
    type: str
    choices: [auto, netplan, networkmanager, networkd, wicked, ifupdown]
    default: auto
  configured_by:
    description:
      - V(image) writes DHCP into the image. V(cloud-init) writes nothing, and leaves that to cloud-init on
        each machine, which also sets up secondary addresses.
      - Tell M(goldenimage.azure.guest_provisioning) the same.
    type: str
    choices: [image, cloud-init]
    default: image
  sriov:
    description: Leave virtual functions to their synthetic cards.
    type: bool
    default: true
attributes:
  check_mode:
    description: In check mode the module says what it would change; nothing is changed.
    support: full
  diff_mode:
    description: In diff mode the files before and after are returned, except for what may have held secrets.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
seealso:
  - module: goldenimage.azure.guest_provisioning
"""

EXAMPLES = r"""
- name: Take the network from DHCP
  goldenimage.azure.guest_network:
  become: true

- name: Have cloud-init set up the network of each machine
  goldenimage.azure.guest_network:
    renderer: netplan
    configured_by: cloud-init
  become: true
"""

RETURN = r"""
renderer:
  description: The program that sets up the network.
  returned: success
  type: str
  sample: networkmanager
files:
  description: The files that were written or removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/NetworkManager/system-connections/azure-dhcp.nmconnection]
"""

from typing import Any, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    make_changes,
    result_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.dhcp import (
    plan_network,
    plan_virtual_functions,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.programs import check_root
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.renderers import (
    RENDERERS,
    renderer_of,
)


def main() -> None:
    module = cast(Any, AnsibleModule)(
        argument_spec={
            "renderer": {"type": "str", "choices": ["auto", *RENDERERS], "default": "auto"},
            "configured_by": {"type": "str", "choices": ["image", "cloud-init"], "default": "image"},
            "sriov": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    given = module.params["renderer"]
    try:
        check_root("Setting up the network")
        guest = Guest(LiveRoot("/"))
        renderer = renderer_of(guest) if given == "auto" else given
        changes = plan_network(guest, renderer, module.params["configured_by"] == "cloud-init")
        if module.params["sriov"]:
            changes += plan_virtual_functions(guest, renderer)
        if not module.check_mode:
            make_changes(guest.tree, changes)
    except (GuestError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(renderer=renderer, **result_of(changes, module._diff))


if __name__ == "__main__":
    main()
