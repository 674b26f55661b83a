#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: guest_kernel_line
short_description: Add kernel arguments to every boot entry of a Linux machine, and take others away
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Changes the kernel line wherever the machine keeps it. These are C(/etc/default/grub) and
    C(/etc/default/grub.d) with the menus that C(grub-mkconfig) or C(grub2-mkconfig) makes from them; the boot
    loader entries of systemd-boot and of GRUB with C(blscfg), which C(grubby) manages on Red Hat's
    distributions; their C(kernelopts) in GRUB's environment block; and C(/etc/kernel/cmdline).
  - All entries are changed, those for rescue too, and kernels that are installed later get the same line.
  - Devices in C(root=) and C(resume=) are named by UUID. C(GRUB_DISABLE_LINUX_UUID) is taken back.
  - GRUB checks a menu before it replaces the old one. Afterwards the module looks into the menus and entries
    themselves, and fails when they are not as wished.
  - A menu that is older than its settings is made anew, as an earlier run may have been interrupted.
options:
  present:
    description:
      - Arguments that must be there. They replace all arguments of the same name and have the order given,
        which matters for C(console). The last one of these is where the system's messages go.
    type: list
    elements: str
    default: []
  absent:
    description:
      - Arguments that must not be there. V(quiet) stands for the argument with any value, V(splash=silent)
        for exactly this. What O(present) asks for stays.
    type: list
    elements: str
    default: []
  grub_settings:
    description:
      - Variables to set in C(/etc/default/grub), for example C(GRUB_TERMINAL). Of no effect on machines whose
        boot loader does not read it.
    type: dict
    default: {}
attributes:
  check_mode:
    description: In check mode the module says what it would change; nothing is changed.
    support: full
  diff_mode:
    description: In diff mode the files before and after are returned, GRUB's menus excepted.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
seealso:
  - module: goldenimage.azure.guest_initramfs
  - module: goldenimage.azure.guest_fstab
"""

EXAMPLES = r"""
- name: Have messages on the serial console, and be patient with NVMe disks
  goldenimage.azure.guest_kernel_line:
    present:
      - console=tty1
      - console=ttyS0,115200n8
      - nvme_core.io_timeout=240
    absent: [rhgb, quiet, crashkernel=auto, rootdelay]
    grub_settings:
      GRUB_TERMINAL: serial console
      GRUB_SERIAL_COMMAND: serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1
  become: true
"""

RETURN = r"""
files:
  description: The files that were changed, or would be in check mode; menus of GRUB are not among them.
  returned: success
  type: list
  elements: str
  sample: [/etc/default/grub]
menus:
  description: The menus of GRUB that were made anew, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/boot/grub/grub.cfg]
"""

from typing import Any, Dict, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import result_of
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.kernel_line import KernelLine
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.programs import Programs, check_root


def main() -> None:
    words: Dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = cast("Any", AnsibleModule)(
        argument_spec={
            "present": words,
            "absent": words,
            "grub_settings": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    options = module.params
    settings = {name: str(value) for name, value in options["grub_settings"].items()}
    try:
        check_root("Changing the kernel line")
        line = KernelLine(LiveRoot("/"), Programs(), options["present"], options["absent"], settings)
        planned = line.plan()
        changed = bool(planned.changes or planned.menus)
        if changed and not module.check_mode:
            line.carry_out(planned)
    except (GuestError, OSError) as error:
        module.fail_json(msg=str(error))
    result = result_of(planned.changes, module._diff)
    result.update(changed=changed, menus=planned.menus)
    if module._diff:
        result["diff"] += [{"prepared": "{0} would be made anew\n".format(path)} for path in planned.menus]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
