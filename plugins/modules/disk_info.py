#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: disk_info
short_description: Tell what is in a disk file, and whether Azure takes it
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Looks into a raw, VHD, VHDX, qcow2 or VMDK disk file with the code that M(goldenimage.azure.disk_upload)
    uses, and tells its format, sizes, partitions, file systems, boot loaders, the generation of virtual
    machine that boots it and the processor architecture.
  - Says as what Azure takes the disk, why not as something else, and what an upload will do on the way.
  - Runs on the host that has the file and needs nothing there but Python 3.6, neither root nor qemu-img.
    Nothing is changed and Azure is not asked.
  - Files that are no disk, and damaged, truncated or encrypted ones, are errors that name the reason, and so
    are files that name others although their own names do not show that they are of such a format.
options:
  path:
    description: Path of the disk file, or of a block device, on the host the task runs on.
    type: path
    required: true
  allow_unpartitioned:
    description: Whether a raw file without a partition table and without a known file system is taken for
      a disk.
    type: bool
    default: false
extends_documentation_fragment:
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
attributes:
  action_group:
    support: none
notes:
  - The architecture is read from the EFI programs, else from the programs in an ext2, ext3 or ext4 file
    system. A disk that boots by BIOS only is for V(x64).
seealso:
  - module: goldenimage.azure.disk_upload
"""

EXAMPLES = r"""
- name: Look at a disk on the hypervisor that has it
  goldenimage.azure.disk_info:
    path: /var/lib/libvirt/images/web.qcow2
  delegate_to: hypervisor
  register: looked

- name: Refuse what cannot be booted in Azure
  ansible.builtin.assert:
    that: "'os_disk' in looked.azure.accepted_as"
    fail_msg: "{{ looked.azure.reasons.os_disk | default('') }}"

- name: Look at several disks
  goldenimage.azure.disk_info:
    path: "{{ item }}"
  loop:
    - /srv/vm/web-os.vhdx
    - /srv/vm/web-data.vhdx
"""

RETURN = r"""
disk:
  description: The disk. Sizes and offsets are in bytes.
  returned: success
  type: dict
  contains:
    path:
      description: The file.
      type: str
      returned: always
      sample: /var/lib/libvirt/images/web.qcow2
    format:
      description: V(raw), V(vhd), V(vhdx), V(qcow2) or V(vmdk).
      type: str
      returned: always
      sample: qcow2
    files:
      description: All files that the disk is read from; backing and extent files follow the one that was
        named.
      type: list
      elements: dict
      returned: always
      contains:
        path:
          description: The file.
          type: str
        size:
          description: Its length.
          type: int
        allocated_size:
          description: What it takes on the host's disk.
          type: int
    virtual_size:
      description: Size of the disk as a machine sees it.
      type: int
      returned: always
      sample: 32212254720
    allocated_size:
      description: What all files take on the host's disk.
      type: int
      returned: always
      sample: 1590820864
    data_size:
      description: How many bytes of the disk its format and the holes of its files do not show to be zero.
      type: int
      returned: always
      sample: 1590755328
    footer:
      description: The VHD footer, whose checksum and size were found right; null for other formats.
      type: dict
      returned: always
      contains:
        type:
          description: V(fixed), V(dynamic) or V(differencing).
          type: str
        creator:
          description: Code of the program that made it.
          type: str
          sample: win
        unique_id:
          description: Its UUID in hexadecimal digits.
          type: str
        size:
          description: Size of the disk by the footer.
          type: int
    partition_table:
      description: V(gpt), V(mbr) or V(none).
      type: str
      returned: always
      sample: gpt
    partitions:
      description: The partitions, by their numbers.
      type: list
      elements: dict
      returned: always
      contains:
        number:
          description: Its number.
          type: int
        offset:
          description: Where it begins.
          type: int
        size:
          description: How large it is.
          type: int
        type:
          description: GUID of its type, on an MBR for example V(0x83).
          type: str
          sample: c12a7328-f81f-11d2-ba4b-00a0c93ec93b
        type_name:
          description: What the type is called, empty when it is not known.
          type: str
          sample: EFI system
        name:
          description: Its name, on a GPT.
          type: str
        unique_id:
          description: Its own GUID, on a GPT.
          type: str
        flags:
          description: Its flags, V(active) on an MBR, on a GPT for example V(legacy_boot) or V(hidden).
          type: list
          elements: str
        file_system:
          description: What it holds, with the keys of RV(disk.file_system); null when nothing known.
          type: dict
    file_system:
      description: What a disk without a partition table holds; null otherwise.
      type: dict
      returned: always
      contains:
        type:
          description: For example V(ext4), V(xfs), V(btrfs), V(ntfs), V(fat32), V(swap), V(lvm2), V(luks2),
            V(md_raid), V(bitlocker).
          type: str
        label:
          description: Its label; empty without one, and for NTFS, where it is not read.
          type: str
        uuid:
          description: Its UUID or serial number.
          type: str
    boot:
      description: What boots the disk.
      type: dict
      returned: always
      contains:
        generations:
          description: V(V1) when it can boot by BIOS, V(V2) when it can by UEFI.
          type: list
          elements: str
        efi_partitions:
          description: Numbers of the EFI system partitions.
          type: list
          elements: int
        efi_loaders:
          description: Programs on them.
          type: list
          elements: dict
          contains:
            partition:
              description: Number of the partition.
              type: int
            path:
              description: Path below its top directory.
              type: str
              sample: EFI/BOOT/BOOTX64.EFI
            size:
              description: Length of the file.
              type: int
            architecture:
              description: V(x64), V(Arm64), V(x86) or V(Arm); empty when it is no EFI program.
              type: str
        bios_code:
          description: Whose code the first sector has, V(grub), V(lilo), V(syslinux), V(windows) or
            V(unknown); empty without code.
          type: str
        bios_boot_partition:
          description: Number of the BIOS boot partition, null without one.
          type: int
        architecture_from:
          description: Which program showed the architecture; empty when none did.
          type: str
          sample: EFI/BOOT/BOOTX64.EFI
    hyper_v_generation:
      description: What M(goldenimage.azure.disk_upload) takes for an operating system disk; null for a disk
        that does not boot.
      type: str
      returned: always
      sample: V2
    architecture:
      description: V(x64) or V(Arm64), null when nothing shows it.
      type: str
      returned: always
      sample: x64
    problems:
      description: Sentences about what will hinder booting, and about file systems that could not be read.
      type: list
      elements: str
      returned: always
azure:
  description: What Azure does with the disk.
  returned: success
  type: dict
  contains:
    accepted:
      description: Whether it can become a managed disk, for an operating system if it boots, else for data.
      type: bool
      returned: always
    accepted_as:
      description: Of V(os_disk), V(data_disk) and V(page_blob) what it can become.
      type: list
      elements: str
      returned: always
    reasons:
      description: For each of them that it cannot become, the reason.
      type: dict
      returned: always
      sample: {}
    actions:
      description: What an upload does on the way, one sentence each.
      type: list
      elements: str
      returned: always
      sample: [The qcow2 disk is sent as a fixed VHD; no converted file is made.]
    upload_size:
      description: Size of the disk in Azure, whole MiB.
      type: int
      returned: always
      sample: 32212254720
    vhd_size:
      description: The same with the footer of the VHD, the size of a page blob.
      type: int
      returned: always
      sample: 32212255232
"""

from typing import Any, Dict, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.inspection import inspect_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verdict import judge


def look(path: str, allow_unpartitioned: bool) -> Dict[str, Any]:
    """The module's result for one file."""
    with open_disk(path, allow_unpartitioned) as reader:
        disk = inspect_disk(reader)
    generation = disk["hyper_v_generation"]
    is_fixed = disk["footer"] is not None and disk["footer"]["type"] == "fixed"
    verdict = judge(path, disk["format"], disk["virtual_size"], generation, is_fixed)
    best = "os_disk" if generation else "data_disk"
    return {"disk": disk, "azure": {"accepted": best in verdict.accepted_as, **verdict._asdict()}}


def main() -> None:
    module = cast("Any", AnsibleModule)(
        argument_spec={
            "path": {"type": "path", "required": True},
            "allow_unpartitioned": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        result = look(module.params["path"], module.params["allow_unpartitioned"])
    except DiskError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
