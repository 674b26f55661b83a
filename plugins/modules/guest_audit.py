#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: guest_audit
short_description: List what still identifies a Linux machine or a person
version_added: 0.1.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Looks for the traces that M(goldenimage.azure.guest_generalize) removes, by the same definitions, and
    changes nothing.
  - Also says what would keep the machine from booting or being set up on Azure. The ids of these findings
    begin with C(azure-).
  - Looks into a disk file without being root and without mounting it, into a tree that is mounted
    somewhere, or at the running host. All three are judged by their files alone.
  - Of a disk, ext2, ext3, ext4, XFS, btrfs and FAT are read, also on linear and striped logical volumes of
    LVM2; the root file system, those its C(fstab) mounts, and the EFI system partition. Others, and encrypted
    disks, have to be mounted and given as O(root).
  - Of btrfs, the subvolume that is mounted by default is the root, or the one that its own C(fstab) has at
    C(/), and the subvolumes that C(fstab) mounts are looked at where it mounts them. Snapshots that are not
    mounted are findings C(snapshots); on a running host only root can list them. Of a file system on several
    devices one is enough where everything is on it, as with RAID 1.
  - What of a disk was not looked at is a finding C(unread-file-system); a swap volume that holds memory is
    one of C(swap-volume).
  - To look into an initramfs or a file of btrfs that is packed with zstd, the host that the task runs on
    needs libzstd; for the latter Python 3.14 is enough.
  - File contents are never shown.
options:
  disk:
    description: Disk file to look into, on the host the task runs on. Raw, VHD, VHDX, qcow2 or VMDK. One of
      several files has to have a name as M(goldenimage.azure.disk_upload) says.
    type: path
  partition:
    description:
      - Number of the partition with the root file system, needed only when more than one could be it.
    type: int
  volume:
    description:
      - Logical volume with the root file system as C(group/name), needed only when more than one could be it.
    type: str
    version_added: 0.2.0
  subvolume:
    description:
      - Subvolume of btrfs with the root file system, as its path from the top level, such as C(@) or C(root).
        Needed only when more than one could be it.
    type: str
    version_added: 0.2.0
  root:
    description: Directory where a guest's root file system is mounted. Needs become to see everything. What
      other mounts hide in it, such as the root file system's own C(/tmp) below one in memory, is not seen.
    type: path
  look_for:
    description:
      - V(traces) looks for what still identifies a machine or a person.
      - V(boot) looks for what would keep the machine from booting or being set up on Azure, such as drivers
        that are missing in the initramfs, disks named by their order, no serial console, no agent, a data
        source other than Azure, or a fixed address.
    type: list
    elements: str
    choices: [traces, boot]
    default: [traces, boot]
    version_added: 0.2.0
  accounts:
    description: Accounts that must not be in the image; they are reported as V(build-accounts).
    type: list
    elements: str
    default: []
  hostnames:
    description: Names the machine had, to be found in C(/etc/hosts).
    type: list
    elements: str
    default: []
  extra_traces:
    description: Your own files and directories that must not be there, written as for generalizing.
    type: list
    elements: str
    default: []
  waive:
    description:
      - Ids of findings that may be there. They are not reported.
    type: list
    elements: str
    default: []
  fail_on:
    description:
      - Fail when there is a finding of this severity or above. V(never) only reports.
    type: str
    choices: [error, warning, info, never]
    default: error
extends_documentation_fragment:
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
attributes:
  action_group:
    support: none
seealso:
  - module: goldenimage.azure.guest_generalize
"""

EXAMPLES = r"""
- name: Prove that nothing is left in a disk
  goldenimage.azure.guest_audit:
    disk: /srv/images/web.qcow2
    accounts: [packer]
  delegate_to: localhost

- name: Learn what a machine lacks to boot on Azure
  goldenimage.azure.guest_audit:
    disk: /srv/images/from-vmware.vmdk
    look_for: [boot]
  delegate_to: localhost

- name: Look at a running host without failing
  goldenimage.azure.guest_audit:
    fail_on: never
  become: true
  register: audited

- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ audited.table }}"
"""

RETURN = r"""
findings:
  description: What was found, the most severe first.
  returned: when the guest could be looked at, also when the module fails because of them
  type: list
  elements: dict
  contains:
    id:
      description: Id of the trace or check.
      type: str
    about:
      description: V(trace), or V(boot) for what would keep the machine from booting on Azure.
      type: str
    path:
      description: Where it is.
      type: str
    severity:
      description: V(error), V(warning) or V(info).
      type: str
    reason:
      description: Why an image should not have it, or what happens on Azure.
      type: str
    detail:
      description: What it is, without its content.
      type: str
  sample:
    - id: machine-id
      about: trace
      path: /etc/machine-id
      severity: error
      reason: Journals and DHCP tell machines apart by it; an empty file gets a new one at the first boot.
      detail: file, 33 bytes
traces_left:
  description: Number of traces of severity V(warning) or V(error).
  returned: as RV(findings)
  type: int
  sample: 0
boot_problems:
  description: Number of findings about booting on Azure of severity V(warning) or V(error).
  returned: as RV(findings)
  type: int
  sample: 0
  version_added: 0.2.0
table:
  description: The findings as a table for people, one line of text each.
  returned: as RV(findings)
  type: list
  elements: str
  sample: [no findings]
"""

from functools import partial
from typing import Any, Dict, List, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import (
    BOOT,
    OWN_IDS,
    TRACE,
    Finding,
    as_table,
    at_least,
    audit,
    audit_boot,
    count_bad,
    in_order,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import open_disk_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError, RootView
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import audited


def look(options: Dict[str, Any]) -> List[Finding]:
    """The findings on what the options name."""
    waived = options["waive"]
    known_waived = [name for name in waived if name not in OWN_IDS]
    traces = audited(tuple(options["extra_traces"]), tuple(known_waived))

    def look_at(root: RootView) -> List[Finding]:
        guest = Guest(root, options["accounts"], options["hostnames"])
        kinds = {"traces": partial(audit, guest, traces, waived), "boot": partial(audit_boot, guest, waived)}
        return in_order(finding for name in kinds if name in options["look_for"] for finding in kinds[name]())

    if options["disk"] is None:
        return look_at(LiveRoot(options["root"] or "/"))
    with open_disk(options["disk"], allow_unpartitioned=True) as reader:
        return look_at(open_disk_root(reader, options["partition"], options["volume"], options["subvolume"]))


def summary(findings: List[Finding]) -> str:
    """How many findings there are, in words."""
    left, boot = [sum(item.about == about for item in findings) for about in (TRACE, BOOT)]
    traces = "{0} trace{1}".format(left, " is left" if left == 1 else "s are left")
    problems = "{0} problem{1} with booting on Azure".format(boot, "" if boot == 1 else "s")
    return " and ".join(text for count, text in ((left, traces), (boot, problems)) if count)


def main() -> None:
    names: Dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = cast("Any", AnsibleModule)(
        argument_spec={
            "disk": {"type": "path"},
            "partition": {"type": "int"},
            "volume": {"type": "str"},
            "subvolume": {"type": "str"},
            "root": {"type": "path"},
            "look_for": {
                "type": "list",
                "elements": "str",
                "choices": ["traces", "boot"],
                "default": ["traces", "boot"],
            },
            "accounts": names,
            "hostnames": names,
            "extra_traces": names,
            "waive": names,
            "fail_on": {"type": "str", "choices": ["error", "warning", "info", "never"], "default": "error"},
        },
        mutually_exclusive=[("disk", "root"), ("partition", "volume")],
        required_by={"partition": ["disk"], "volume": ["disk"], "subvolume": ["disk"]},
        supports_check_mode=True,
    )
    options = dict(module.params)
    for name in ("accounts", "hostnames", "extra_traces", "waive"):
        # Surveys send an empty text for what was left out.
        options[name] = [item for item in options[name] if item]
    try:
        findings = look(options)
    except (DiskError, GuestError) as error:
        module.fail_json(msg=str(error))
    result = {
        "findings": [finding.as_result() for finding in findings],
        "traces_left": count_bad(findings, TRACE),
        "boot_problems": count_bad(findings, BOOT),
        "table": as_table(findings).splitlines(),
    }
    threshold = module.params["fail_on"]
    bad = [] if threshold == "never" else at_least(findings, threshold)
    if bad:
        module.fail_json(
            msg="{0}; the first is {1} at {2}: {3}. Deal with them, or waive their ids".format(
                summary(bad), bad[0].id, bad[0].path, bad[0].detail
            ),
            **result,
        )
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
