#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: guest_initramfs
short_description: Have drivers in every initramfs of a Linux machine, and see that they are there
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Looks into the initramfs of every installed kernel, tells C(initramfs-tools) or C(dracut) to include what
    is missing, now and for later kernels, has the initramfs made anew where needed, and looks again. One that
    is packed with what Python on the machine cannot unpack is listed by C(lsinitramfs) or C(lsinitrd).
  - A new initramfs takes the place of the old one only when it is whole. With C(dracut) it has to have the
    drivers too.
  - Drivers that are part of a kernel need no place in its initramfs.
  - Lines in C(/etc/modprobe.d) that keep one of the drivers from loading become comments.
options:
  drivers:
    description:
      - Drivers without which the machine cannot boot. The module fails when the newest kernel does not have
        them at all, and warns when an older one does not.
    type: list
    elements: str
    required: true
  optional_drivers:
    description: Drivers to include where the kernel has them.
    type: list
    elements: str
    default: []
  rebuild:
    description:
      - Make every initramfs anew although no driver is missing, because something else has changed that is
        copied into it. The task is changed each time then.
    type: bool
    default: false
attributes:
  check_mode:
    description: In check mode the module says what it would change; nothing is changed.
    support: full
  diff_mode:
    description: In diff mode the settings, and the drivers of each kernel, before and after are returned.
    support: full
  idempotent:
    description: A second run changes nothing, unless O(rebuild=true).
    support: partial
seealso:
  - module: goldenimage.azure.guest_kernel_line
  - module: goldenimage.azure.guest_fstab
"""

EXAMPLES = r"""
- name: Have the drivers of Azure's disks and networks in the initramfs
  goldenimage.azure.guest_initramfs:
    drivers: [hv_vmbus, hv_storvsc, hv_netvsc]
    optional_drivers: [hv_utils, nvme, pci_hyperv]
  become: true
"""

RETURN = r"""
kernels:
  description: The installed kernels, the newest one last.
  returned: success
  type: list
  elements: dict
  contains:
    version:
      description: Its version.
      type: str
    initramfs:
      description: The path of its initramfs; null when it has none.
      type: str
    rebuilt:
      description: Whether its initramfs was made anew, or would be in check mode.
      type: bool
    drivers:
      description:
        - Where each driver is, V(built-in), V(included) in the initramfs, V(missing) there, or V(unavailable)
          for this kernel. In check mode this is how it is now.
      type: dict
  sample:
    - version: 6.1.0-31-cloud-amd64
      initramfs: /boot/initrd.img-6.1.0-31-cloud-amd64
      rebuilt: true
      drivers: {hv_vmbus: included, hv_storvsc: included, hv_netvsc: included, nvme: included}
files:
  description: The files of settings that were changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/dracut.conf.d/50-goldenimage.conf]
"""

from typing import Any, Dict, List, Sequence, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.programs import Programs, check_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import result_of
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.initramfs import (
    Drivers,
    KernelDrivers,
    Plan,
)


def main() -> None:
    module = cast("Any", AnsibleModule)(
        argument_spec={
            "drivers": {"type": "list", "elements": "str", "required": True},
            "optional_drivers": {"type": "list", "elements": "str", "default": []},
            "rebuild": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        check_root("Changing the initramfs")
        drivers = Drivers(
            LiveRoot("/"), Programs(), options["drivers"], options["optional_drivers"], options["rebuild"]
        )
        planned = drivers.plan()
        changed = bool(planned.changes or planned.rebuild)
        after = drivers.carry_out(planned) if changed and not module.check_mode else planned.kernels
    except (GuestError, OSError) as error:
        module.fail_json(msg=str(error))
    for warning in planned.warnings:
        module.warn(warning)
    result = result_of(planned.changes, module._diff)
    result.update(changed=changed, kernels=_facts(after, planned))
    if module._diff:
        result["diff"].extend(_initramfs_diff(planned))
    module.exit_json(**result)


def _facts(states: Sequence[KernelDrivers], planned: Plan) -> List[Dict[str, Any]]:
    rebuilt = {kernel.version for kernel in planned.rebuild}
    return [
        {
            "version": state.kernel.version,
            "initramfs": state.kernel.initramfs,
            "rebuilt": state.kernel.version in rebuilt,
            "drivers": state.drivers,
        }
        for state in states
    ]


def _initramfs_diff(planned: Plan) -> List[Dict[str, str]]:
    found = []
    rebuilt = {kernel.version for kernel in planned.rebuild}
    for state in planned.kernels:
        if state.kernel.version in rebuilt:
            header = state.kernel.initramfs or "initramfs of kernel {0}".format(state.kernel.version)
            before = "".join("{0}: {1}\n".format(*item) for item in state.drivers.items())
            after = before.replace(": missing\n", ": included\n")
            found.append({"before_header": header, "after_header": header, "before": before, "after": after})
    return found


if __name__ == "__main__":
    main()
