#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: disk_send
short_description: Do the part of an upload that needs the disk file, on the host that has it
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - M(goldenimage.azure.disk_upload) runs this module by itself where a disk is uploaded from another host
    than the controller. Tasks of playbooks use that module and not this one.
  - The host needs Python 3.6, or what the controller's ansible-core asks of hosts, and nothing else. It knows
    no credential, has no part in creating the disk or blob, and reaches nothing but the blob service, by a
    SAS for this one disk or blob.
options:
  step:
    description:
      - What to do. V(look) reads what an upload needs to know of the disk, V(journal) what an earlier upload
        has left, V(begin) starts a journal, V(plan) reads the disk to find what there is to send, V(send)
        sends it, V(verify) compares what is there, V(forget) removes the journal.
    type: str
    required: true
    choices: [look, journal, begin, plan, send, verify, forget]
  path:
    description: Path of the disk file or block device.
    type: path
    required: true
  allow_unpartitioned:
    description: Whether a raw file without a partition table and a known file system is taken for a disk.
    type: bool
    default: false
  boots:
    description: Whether to look how the disk boots, and for which processor it is.
    type: bool
    default: false
  target:
    description: Id of the managed disk, or URL of the blob without its SAS. It tells the journals of a disk
      apart.
    type: str
  upload:
    description: Id of the upload, as its journal has it.
    type: str
  target_facts:
    description: What tells the target from a later one of the same name.
    type: dict
    default: {}
  goes_on:
    description: Whether to go on with what the journal tells of.
    type: bool
    default: false
  existing_only:
    description: Whether to look for a journal only, and not whether there can be one.
    type: bool
    default: false
  journal_dir:
    description: Folder of the journal; the disk file's when it is not set.
    type: path
  url:
    description: URL of the blob, without its SAS.
    type: str
  sas:
    description: The SAS.
    type: str
  lease:
    description: Lease that the blob is written under.
    type: str
  connections:
    description: How many connections send at the same time at most.
    type: int
    default: 12
  bandwidth_limit:
    description: How many bytes per second are sent at most.
    type: int
  verify:
    description: How what was sent is compared.
    type: str
    choices: [ranges, full, none]
    default: ranges
  verify_tls:
    description: Whether the certificate of the blob service is checked.
    type: bool
    default: true
  progress_file:
    description: File to which progress is appended as lines of JSON.
    type: path
extends_documentation_fragment:
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
attributes:
  action_group:
    support: none
  diff_mode:
    support: none
  check_mode:
    support: partial
    details: The steps that send or write a journal are left to a run without check mode.
seealso:
  - module: goldenimage.azure.disk_upload
"""

EXAMPLES = r"""
- name: See what an upload would find on the hypervisor
  goldenimage.azure.disk_send:
    step: look
    path: /srv/vm/web.qcow2
    boots: true
  delegate_to: hypervisor
"""

RETURN = r"""
found:
  description: What the step found or did.
  returned: success
  type: dict
  sample:
    path: /srv/vm/web.qcow2
    format: qcow2
    virtual_size: 32212254720
    data_bytes: 1590820864
    generations: [V2]
    architecture: x64
    architecture_from: /EFI/BOOT/BOOTX64.EFI
problem:
  description: Whether the C(disk) cannot be used or the blob C(service) refused, with C(code), C(status) and
    C(request_id) of the service, and whether anything has C(arrived) there.
  returned: failure
  type: dict
"""

from typing import Any, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.orphans import (
    end_with_reader_of_output,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.steps import Step

WRITING_STEPS = ("begin", "send", "forget")


def main() -> None:
    module = cast(Any, AnsibleModule)(
        argument_spec={
            "step": {
                "type": "str",
                "required": True,
                "choices": ["look", "journal", "begin", "plan", "send", "verify", "forget"],
            },
            "path": {"type": "path", "required": True},
            "allow_unpartitioned": {"type": "bool", "default": False},
            "boots": {"type": "bool", "default": False},
            "target": {"type": "str"},
            "upload": {"type": "str"},
            "target_facts": {"type": "dict", "default": {}},
            "goes_on": {"type": "bool", "default": False},
            "existing_only": {"type": "bool", "default": False},
            "journal_dir": {"type": "path"},
            "url": {"type": "str"},
            "sas": {"type": "str", "no_log": True},
            "lease": {"type": "str"},
            "connections": {"type": "int", "default": 12},
            "bandwidth_limit": {"type": "int"},
            "verify": {"type": "str", "choices": ["ranges", "full", "none"], "default": "ranges"},
            "verify_tls": {"type": "bool", "default": True},
            "progress_file": {"type": "path"},
        },
        required_if=[
            ("step", "journal", ["target"]),
            ("step", "begin", ["target", "upload"]),
            ("step", "send", ["target", "url", "sas"]),
            ("step", "verify", ["url", "sas"]),
            ("step", "forget", ["target"]),
        ],
        supports_check_mode=True,
    )
    if module.check_mode and module.params["step"] in WRITING_STEPS:
        module.exit_json(changed=True, found={})
    if module.params["step"] == "send":
        end_with_reader_of_output()
    step = Step(module.params)
    try:
        found = step.run()
    except DiskError as error:
        module.fail_json(msg=str(error), problem={"kind": "disk", "arrived": step.arrived})
    except UploadError as error:
        problem = {
            "kind": "service",
            "code": error.code,
            "status": error.status,
            "request_id": error.request_id,
            "arrived": step.arrived,
        }
        module.fail_json(msg=error.message, problem=problem)
    module.exit_json(changed=module.params["step"] == "send", found=found)


if __name__ == "__main__":
    main()
