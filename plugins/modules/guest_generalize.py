#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: guest_generalize
short_description: Take the identity of a Linux machine away
version_added: 0.1.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Deprovisions the host it runs on and removes what still identifies the machine or a person, so that many
    machines can be born from its disks.
  - All checks come first. Then everything that the running session does not need is removed. The rest is
    done by a last step, which the module starts and which outlives the session. It waits until the session
    is over, stops what writes, runs C(cloud-init clean) and C(waagent -deprovision), removes accounts, keys
    and logs, looks itself whether anything is left, stops the SSH server and switches the host off.
  - When something is left, the last step keeps the host on and says what on its console and in
    C(/run/goldenimage-generalize/report.json). So a host that goes away is proof, and one that stays is not
    generalized. O(power_off=false) leaves the closed SSH port as the sign of success.
  - Snapshots of btrfs keep the system as it was. Those on the file systems of C(/), C(/boot), C(/home),
    C(/opt), C(/root), C(/usr) and C(/var) are deleted, whoever made them; V(snapshots) in O(traces_exclude)
    keeps them. What is mounted stays, also the root where it is a snapshot itself, as on openSUSE.
  - The role P(goldenimage.azure.linux_generalize#role) runs this module and waits for the host to go away.
options:
  confirm:
    description:
      - Host name or machine id of the host that is meant, or Azure's id of the virtual machine (C(vmId)). The
        module refuses every other host.
    type: str
    required: true
  vm_id:
    description:
      - Azure's id of the virtual machine (C(vmId)) that the host has to be besides. When something is done to
        that machine from outside, a mistake in either name is found by it.
    type: str
    default: ""
    version_added: 0.2.0
  accounts:
    description:
      - Accounts to remove, with their homes, mail, crontabs, sudo rules and subordinate ids. The account that
        Ansible logs in with may be among them.
      - Accounts that do not exist are fine. Accounts with user id 0 are refused.
    type: list
    elements: str
    default: []
  remove_own_account:
    description: Remove the account that the session was opened with, unless it is root.
    type: bool
    default: false
  traces_include:
    description:
      - Ids of traces to remove although they are not removed by default.
    type: list
    elements: str
    default: []
  traces_exclude:
    description: Ids of traces to leave alone.
    type: list
    elements: str
    default: []
  extra_traces:
    description:
      - Your own files and directories to remove. V(*), V(?) and V([]) match within a name, V({a,b}) stands
        for alternatives, and a path that begins with V(~/) is meant in every home directory.
    type: list
    elements: str
    default: []
  agent:
    description:
      - V(waagent) has the Azure Linux Agent deprovision the host, and refuses hosts that lack it.
      - V(none) does without it.
    type: str
    choices: [waagent, none]
    default: waagent
  refuse_processes:
    description:
      - Names of programs that do not run on a host that may be generalized, for example your database. V(*),
        V(?) and V([]) match within a name. A host where one runs is refused.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  refuse_ports:
    description: Ports that nothing listens on, TCP or UDP, on a host that may be generalized.
    type: list
    elements: int
    default: []
    version_added: 0.2.0
  refuse_mounts:
    description:
      - Mount points, for example V(/data*), or types of file systems, for example V(nfs*), that are not
        mounted on a host that may be generalized.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  refuse_uptime:
    description: Hours that a host that may be generalized has been up at most. V(0) allows any time.
    type: int
    default: 0
    version_added: 0.2.0
  free_space:
    description:
      - What is done about the space that files no longer use, where removed data still is. It is the last
        thing before the SSH server is stopped.
      - V(discard) has the disk forget it, and refuses hosts whose root file system cannot discard.
      - V(zero) overwrites it on every local file system that is mounted writable. That takes time, and a disk
        file that grows on demand grows to its full size.
    type: str
    choices: [keep, discard, zero]
    default: keep
    version_added: 0.2.0
  power_off:
    description:
      - Switch the host off at the end. Otherwise it stays on with its SSH server stopped, and has to be
        switched off from outside before its disks are used.
    type: bool
    default: true
  session_timeout:
    description:
      - Seconds the last step waits for the session to end. It goes on earlier when the connection is closed,
        or when nothing has run in it for three seconds.
    type: int
    default: 60
attributes:
  check_mode:
    description: In check mode the module says what it would remove; nothing is changed.
    support: full
  diff_mode:
    description: In diff mode the traces before and after are returned, without their content.
    support: full
  idempotent:
    description: The host is gone afterwards, so the task cannot be repeated on it.
    support: N/A
seealso:
  - module: goldenimage.azure.guest_audit
"""

EXAMPLES = r"""
- name: See what would go
  goldenimage.azure.guest_generalize:
    confirm: "{{ inventory_hostname }}"
    remove_own_account: true
  become: true
  check_mode: true
  diff: true

- name: Take the identity of this machine away and switch it off
  goldenimage.azure.guest_generalize:
    confirm: build-vm
    accounts: [packer]
    remove_own_account: true
    traces_exclude: [package-caches]
    refuse_processes: [postgres, "java*"]
    refuse_mounts: [nfs*, /srv/data]
    refuse_uptime: 48
    extra_traces:
      - /opt/app/etc/license.key
      - ~/.config/app
  become: true
"""

RETURN = r"""
host:
  description: The host that was meant.
  returned: success
  type: dict
  contains:
    hostname:
      description: Its name.
      type: str
    machine_id:
      description: Its machine id.
      type: str
    distribution:
      description: The C(ID) of its C(os-release).
      type: str
  sample: {hostname: build-vm, machine_id: 8d2b0f0f4f0b4d8c9a1f5f0c6c1e7a55, distribution: debian}
accounts:
  description: The accounts that are removed.
  returned: success
  type: list
  elements: str
  sample: [packer]
removed:
  description: The traces that were removed at once, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the trace.
      type: str
    path:
      description: Where it was.
      type: str
    detail:
      description: What it was, without its content.
      type: str
  sample: [{id: at-jobs, path: /var/spool/cron/atjobs/a0001, detail: "file, 120 bytes"}]
scheduled:
  description: The traces that the last step removes, as far as they exist already.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the trace.
      type: str
    path:
      description: Where it is.
      type: str
    detail:
      description: What it is, without its content.
      type: str
  sample: [{id: machine-id, path: /etc/machine-id, detail: "file, 33 bytes"}]
last_step:
  description: V(started), or V(planned) in check mode.
  returned: success
  type: str
  sample: started
"""

from typing import Any, Dict, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.generalize import (
    Order,
    carry_out,
    plan,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.production import Signs
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import Selection

_LISTS = (
    "accounts",
    "traces_include",
    "traces_exclude",
    "extra_traces",
    "refuse_processes",
    "refuse_mounts",
)


def main() -> None:
    names: Dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = cast("Any", AnsibleModule)(
        argument_spec={
            "confirm": {"type": "str", "required": True},
            "vm_id": {"type": "str", "default": ""},
            "accounts": names,
            "remove_own_account": {"type": "bool", "default": False},
            "traces_include": names,
            "traces_exclude": names,
            "extra_traces": names,
            "agent": {"type": "str", "choices": ["waagent", "none"], "default": "waagent"},
            "refuse_processes": names,
            "refuse_ports": {"type": "list", "elements": "int", "default": []},
            "refuse_mounts": names,
            "refuse_uptime": {"type": "int", "default": 0},
            "free_space": {"type": "str", "choices": ["keep", "discard", "zero"], "default": "keep"},
            "power_off": {"type": "bool", "default": True},
            "session_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    options = dict(module.params)
    for name in _LISTS:
        # Surveys send an empty text for what was left out.
        options[name] = tuple(item for item in options[name] if item)
    order = Order(
        confirm=options["confirm"],
        accounts=options["accounts"],
        own_account=options["remove_own_account"],
        selection=Selection(options["traces_include"], options["traces_exclude"], options["extra_traces"]),
        agent=options["agent"] == "waagent",
        power_off=options["power_off"],
        session_timeout=float(options["session_timeout"]),
        signs=Signs(
            options["refuse_processes"],
            tuple(options["refuse_ports"]),
            options["refuse_mounts"],
            options["refuse_uptime"],
        ),
        free_space=options["free_space"],
        vm_id=options["vm_id"],
    )
    try:
        planned = plan(order)
        removed = planned.at_once if module.check_mode else carry_out(planned)
    except (GuestError, OSError) as error:
        module.fail_json(msg=str(error))
    result: Dict[str, Any] = {
        "changed": True,
        "host": {
            "hostname": planned.identity.hostname,
            "machine_id": planned.identity.machine_id,
            "distribution": planned.identity.distribution,
        },
        "accounts": list(planned.accounts),
        "removed": [dict(found._asdict()) for found in removed],
        "scheduled": [dict(found._asdict()) for found in planned.last],
        "last_step": "planned" if module.check_mode else "started",
    }
    if module._diff:
        before = ["{0.id}: {0.path} ({0.detail})\n".format(found) for found in removed + planned.last]
        result["diff"] = {"before_header": "traces", "before": "".join(before), "after": ""}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
