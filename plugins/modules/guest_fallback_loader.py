#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: guest_fallback_loader
short_description: Let a Linux machine boot by UEFI without a boot entry in its firmware
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Firmware that knows no boot entry starts C(EFI/BOOT/BOOTX64.EFI), or C(BOOTAA64.EFI), in the EFI system
    partition. The boot entries of a machine are in its firmware and not on its disk, so a machine made from
    an image needs this file.
  - Where it is missing, the module copies the loader of systemd-boot, shim with the GRUB it starts, or GRUB
    alone. One that is there is left as it is.
  - Machines without an EFI system partition at C(/boot/efi), C(/efi) or C(/boot) are left as they are. They
    boot by BIOS, which Azure's generation 1 has.
options: {}
attributes:
  check_mode:
    description: In check mode the module says what it would copy; nothing is changed.
    support: full
  diff_mode:
    description: In diff mode the copies are returned.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
seealso:
  - module: goldenimage.azure.guest_kernel_line
"""

EXAMPLES = r"""
- name: Be bootable where no boot entry is known
  goldenimage.azure.guest_fallback_loader:
  become: true
"""

RETURN = r"""
loader:
  description: Path of the fallback loader; null for machines without an EFI system partition.
  returned: success
  type: str
  sample: /boot/efi/EFI/BOOT/BOOTX64.EFI
copies:
  description: What was copied, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: The file.
      type: str
    target:
      description: Where it was copied to.
      type: str
  sample:
    - source: /boot/efi/EFI/debian/shimx64.efi
      target: /boot/efi/EFI/BOOT/BOOTX64.EFI
"""

from typing import Any, Dict, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.fallback_loader import (
    make_copies,
    plan_fallback,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.programs import check_root


def main() -> None:
    module = cast("Any", AnsibleModule)(argument_spec={}, supports_check_mode=True)
    try:
        check_root("Looking into the EFI system partition")
        root = LiveRoot("/")
        planned = plan_fallback(root, Guest(root).os_release().get("ID", ""))
        if not module.check_mode:
            make_copies(root, planned)
    except (GuestError, OSError) as error:
        module.fail_json(msg=str(error))
    result: Dict[str, Any] = {
        "changed": bool(planned.copies),
        "loader": planned.loader,
        "copies": [dict(copy._asdict()) for copy in planned.copies],
    }
    if module._diff:
        lines = ["{0.target}: a copy of {0.source}\n".format(copy) for copy in planned.copies]
        result["diff"] = {"before": "", "after": "".join(lines)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
