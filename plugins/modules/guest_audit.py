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
  - Looks into a disk file without being root and without mounting it, into a tree that is mounted
    somewhere, or at the running host.
  - The ext2, ext3 and ext4 file systems of a disk are read, the root file system and those its C(fstab)
    mounts by UUID or label. Other file systems, LVM and encrypted disks have to be mounted and given as
    O(root). The EFI system partition is not looked into.
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
  root:
    description: Directory where a guest's root file system is mounted. Needs become to see everything.
    type: path
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
      - Ids of traces that may be there. They are not reported.
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
      description: Id of the trace.
      type: str
    path:
      description: Where it is.
      type: str
    severity:
      description: V(error), V(warning) or V(info).
      type: str
    reason:
      description: Why an image should not have it.
      type: str
    detail:
      description: What it is, without its content.
      type: str
  sample:
    - id: machine-id
      path: /etc/machine-id
      severity: error
      reason: Journals and DHCP tell machines apart by it; an empty file gets a new one at the first boot.
      detail: file, 33 bytes
traces_left:
  description: Number of findings of severity V(warning) or V(error).
  returned: as RV(findings)
  type: int
  sample: 0
table:
  description: The findings as a table for people, one line of text each.
  returned: as RV(findings)
  type: list
  elements: str
  sample: [no traces]
"""

from typing import Any, Dict, List, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import (
    Finding,
    as_table,
    at_least,
    audit,
    traces_left,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import open_disk_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError, RootView
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import audited


def look(options: Dict[str, Any]) -> List[Finding]:
    """The findings on what the options name."""
    traces = audited(tuple(options["extra_traces"]), tuple(options["waive"]))

    def look_at(root: RootView) -> List[Finding]:
        return audit(Guest(root, options["accounts"], options["hostnames"]), traces, options["waive"])

    if options["disk"] is None:
        return look_at(LiveRoot(options["root"] or "/"))
    with open_disk(options["disk"], allow_unpartitioned=True) as reader:
        return look_at(open_disk_root(reader, options["partition"]))


def main() -> None:
    names: Dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = cast("Any", AnsibleModule)(
        argument_spec={
            "disk": {"type": "path"},
            "partition": {"type": "int"},
            "root": {"type": "path"},
            "accounts": names,
            "hostnames": names,
            "extra_traces": names,
            "waive": names,
            "fail_on": {"type": "str", "choices": ["error", "warning", "info", "never"], "default": "error"},
        },
        mutually_exclusive=[("disk", "root")],
        required_by={"partition": ["disk"]},
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
        "traces_left": traces_left(findings),
        "table": as_table(findings).splitlines(),
    }
    threshold = module.params["fail_on"]
    bad = [] if threshold == "never" else at_least(findings, threshold)
    if bad:
        module.fail_json(
            msg="{0} traces are left, the first is {1} at {2}; remove them or waive their ids".format(
                len(bad), bad[0].id, bad[0].path
            ),
            **result,
        )
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
