# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The last step of generalizing, run by :mod:`detach` as a program of its own.

It outlives the session that ordered it: it waits until that is over, quiets the host, deprovisions it,
removes every selected trace, looks itself whether any is left, and only then closes the way in and switches
off. When something is left or failed, the host stays on, says so on its console and in /run, and who waits
for it to go away learns that it did not.
"""

import contextlib
import os
import traceback
from typing import List

from ansible_collections.goldenimage.azure.plugins.module_utils._guest import services
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.beneath import (
    has_hidden,
    root_beneath_mounts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.free_space import clean_free_space
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.job import (
    REPORT_FILE,
    Job,
    read_job,
    write_report,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.programs import Programs
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.removal import find, remove
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.session import wait_for_end
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import selected

_IDLE_SECONDS = 3.0
_TOOL_SECONDS = 300.0
# What somebody needs to log in and become root, and what the tools that deprovision want to find. All else
# has to be gone before these go, so that the role can be run again when something is in the way.
_WAY_IN = (
    "build-accounts",
    "people-accounts",
    "root-password",
    "authorized-keys",
    "ssh-host-keys",
    "cloud-init-config",
    "cloud-init-state",
    "agent-state",
)


def main() -> int:
    """Carry out the order; 0 when the host was left without traces."""
    job = read_job()
    write_report("waiting")
    try:
        wait_for_end(job.caller, job.connection, _IDLE_SECONDS, job.session_timeout)
        failures = _work(job)
    except (GuestError, OSError) as error:
        failures = [str(error)]
    except Exception as error:  # noqa: BLE001 (nobody else would say why the host stays on)
        traceback.print_exc()
        failures = ["{0}: {1}".format(type(error).__name__, error)]
    if failures:
        write_report("failed", failures)
        _tell_console(failures)
        return 1
    return 0


def _work(job: Job) -> List[str]:
    guest = Guest(LiveRoot("/"), job.accounts, job.hostnames)
    traces = selected(job.selection)
    write_report("quieting")
    uids = {account.uid for account in guest.passwd() if account.name in _leaving(guest, traces)}
    services.quiet(uids)
    write_report("removing")
    failures = remove(guest, [trace for trace in traces if trace.id not in _WAY_IN]).failures
    if failures:
        return failures
    write_report("deprovisioning")
    _deprovision(job, guest)
    failures = _remove(job, traces)
    if failures:
        return failures
    with root_beneath_mounts() as root:
        failures = _remove(job, traces, root) if has_hidden(root) else []
    if failures:
        return failures
    write_report("cleaning free space")
    clean_free_space(job.free_space)
    # From here on nobody may log in: every try would leave a record.
    services.close_the_way_in()
    failures = _remove(job, traces)
    if failures:
        return failures
    write_report("done")
    if job.power_off:
        services.switch_off()
    return []


def _leaving(guest: Guest, traces: List[Trace]) -> List[str]:
    names = list(guest.accounts)
    if any(trace.id == "people-accounts" for trace in traces):
        names.extend(guest.people())
    return names


def _deprovision(job: Job, guest: Guest) -> None:
    programs = Programs()
    cloud_init = programs.find("cloud-init")
    kept = "cloud-init-state" in job.selection.exclude
    if cloud_init is not None and not kept and guest.root.stat("/var/lib/cloud") is not None:
        programs.run([cloud_init, "clean", "--logs", "--seed"], _TOOL_SECONDS)
    # It takes the host keys: after this nobody can log in.
    if job.agent:
        programs.run([job.agent, "-force", "-deprovision"], _TOOL_SECONDS)


def _remove(job: Job, traces: List[Trace], root: str = "/") -> List[str]:
    """Remove the traces and look again; sentences about what is left."""
    failures = remove(Guest(LiveRoot(root), job.accounts, job.hostnames), traces).failures
    left = find(Guest(LiveRoot(root), job.accounts, job.hostnames), traces)
    return failures + ["{0}: {1} is still there".format(found.id, found.path) for found in left]


def _tell_console(failures: List[str]) -> None:
    lines = ["generalizing stopped, the host is NOT generalized; see " + REPORT_FILE]
    lines.extend("  " + failure for failure in failures[:20])
    with contextlib.suppress(OSError):
        console = os.open("/dev/console", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            os.write(console, "".join("\r\n" + line for line in lines).encode("utf-8", "replace") + b"\r\n")
        finally:
            os.close(console)


if __name__ == "__main__":
    raise SystemExit(main())
