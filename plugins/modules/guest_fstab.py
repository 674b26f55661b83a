#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: guest_fstab
short_description: Name the disks of a Linux machine by id wherever they are mounted at boot
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Replaces names of devices that depend on the machine's controllers, such as C(/dev/sda1), C(/dev/vdb),
    C(/dev/nvme0n1p1) or C(/dev/disk/by-path/...), by C(UUID=) or C(PARTUUID=) in C(/etc/fstab),
    C(/etc/crypttab) and in the resume device of initramfs-tools. On another hypervisor the same disk has
    another such name, and the machine would wait for it at boot.
  - Names by content, of LVM, of the device mapper and of network file systems stay as they are; so do
    comments, columns and options.
  - Encrypted devices with a random key are named by their partition, as what is on them is new at each boot.
  - When a line names a device that has no id, and lacks V(nofail) and V(noauto), nothing is changed and the
    module fails with all such lines.
  - Ids are read from the devices with C(blkid), so the module needs root.
options: {}
attributes:
  check_mode:
    description: In check mode the module says what it would change; nothing is changed.
    support: full
  diff_mode:
    description: In diff mode the tables before and after are returned.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
seealso:
  - module: goldenimage.azure.guest_initramfs
  - module: goldenimage.azure.guest_kernel_line
"""

EXAMPLES = r"""
- name: Name disks by id
  goldenimage.azure.guest_fstab:
  become: true

- name: Say which lines would be changed
  goldenimage.azure.guest_fstab:
  become: true
  check_mode: true
  diff: true
"""

RETURN = r"""
files:
  description: The files that were changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/fstab]
"""

from typing import Any, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    make_changes,
    result_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.device_ids import DeviceIds
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.mount_tables import plan_tables
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.programs import Programs, check_root


def main() -> None:
    module = cast(Any, AnsibleModule)(argument_spec={}, supports_check_mode=True)
    try:
        check_root("Reading the ids of disks")
        root = LiveRoot("/")
        planned = plan_tables(root, DeviceIds(Programs()))
        if not module.check_mode:
            make_changes(root, planned.changes)
    except (GuestError, OSError) as error:
        module.fail_json(msg=str(error))
    for warning in planned.warnings:
        module.warn(warning)
    module.exit_json(**result_of(planned.changes, module._diff))


if __name__ == "__main__":
    main()
