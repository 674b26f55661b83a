# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Traces of what ran: logs, records, caches and temporary files."""

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    AZURELINUX,
    DEBIAN,
    REDHAT,
    SUSE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import (
    Logs,
    Remove,
    Snapshots,
    Truncate,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace

_LOGIN_RECORDS = (
    "/var/log/wtmp",
    "/var/log/btmp",
    "/var/log/lastlog",
    "/var/log/faillog",
    "/var/log/tallylog",
)

TRACES = (
    Trace(
        "own-leftovers",
        "Copies left by an interrupted generalization",
        "A file is replaced by a new one; killed in between, that stays, with what is in /etc/shadow in it.",
        (
            Remove("/etc/.goldenimage-*", "/etc/{sudoers.d,iscsi,sysconfig}/.goldenimage-*"),
            Remove("/etc/sysconfig/network-scripts/.goldenimage-*").on(REDHAT, AZURELINUX),
            # A directory here, a file at Red Hat.
            Remove("/etc/sysconfig/network/.goldenimage-*").on(SUSE),
            Remove("/.goldenimage-*", "~/.goldenimage-*", "~/.config/git/.goldenimage-*"),
        ),
        last=True,
    ),
    Trace(
        "snapshots",
        "Snapshots of the file system",
        "They keep earlier states whole, with every host key, password and id that was removed since.",
        (Snapshots(),),
    ),
    Trace(
        "login-records",
        "Who logged in, when and from where",
        "They name people and addresses of the build network.",
        (
            Truncate(*_LOGIN_RECORDS),
            Remove("/var/log/{wtmp,btmp}[.-]*", "/var/lib/wtmpdb/*", "/var/lib/lastlog/*"),
            Remove("/var/lib/fail2ban/*", "/var/{lib,db}/sudo/{ts,lectured}/*", "/var/lib/faillock/*"),
            Truncate("/var/account/pacct"),
            Remove("/var/account/pacct-*", "/var/account/{usracct,savacct}"),
        ),
        last=True,
    ),
    Trace(
        "journal",
        "Journals of systemd",
        "They hold the machine's whole life, filed under its machine id.",
        (Remove("/var/log/journal/*", "/var/log/journal.remote/*", "/var/lib/rsyslog/imjournal.state"),),
        last=True,
    ),
    Trace(
        "audit-logs",
        "Audit logs",
        "They record what people did on the machine.",
        (Truncate("/var/log/audit/audit.log"), Remove("/var/log/audit/audit.log.*", "/var/log/sudo-io/*")),
        last=True,
    ),
    Trace(
        "logs",
        "All other logs",
        "They name the machine, people and addresses; rotated ones go, the others are emptied.",
        (
            Logs(
                "/var/log",
                unless=(
                    *_LOGIN_RECORDS,
                    "/var/log/journal",
                    "/var/log/audit",
                    "/var/log/installer",
                    "/var/log/anaconda",
                    "/var/log/YaST2",
                    "/var/log/azure",
                    "/var/log/waagent.log",
                    "/var/log/cloud-init.log",
                    "/var/log/cloud-init-output.log",
                    "/var/log/README",
                ),
            ),
        ),
        last=True,
    ),
    Trace(
        "temporary-files",
        "Temporary files",
        "Anything can be in them, and nothing in them is meant to last.",
        (
            Remove(
                "/tmp/*",  # noqa: S108 (named, not used)
                "/var/tmp/*",  # noqa: S108
                unless=(".X11-unix", ".ICE-unix", ".XIM-unix", ".font-unix", ".Test-unix", "lost+found"),
            ),
        ),
        severity="warning",
        last=True,
    ),
    Trace(
        "print-jobs",
        "Print jobs",
        "A job holds the document and the name of who printed it.",
        (Remove("/var/spool/cups/{c,d}[0-9]*", "/var/spool/cups/tmp/*", "/var/cache/cups/job.cache*"),),
    ),
    Trace(
        "package-caches",
        "Downloaded packages and package lists",
        "They are out of date in every machine made later and only make the image larger.",
        (
            Remove("/var/cache/apt/archives/*.deb", "/var/cache/apt/archives/partial/*").on(DEBIAN),
            Remove("/var/cache/apt/*.bin").on(DEBIAN),
            Remove("/var/lib/apt/lists/*", unless=("lock", "partial", "auxfiles")).on(DEBIAN),
            Remove("/var/lib/apt/lists/partial/*").on(DEBIAN),
            Remove("/var/cache/{dnf,yum,libdnf5}/*", "/var/lib/rpm/__db.*").on(REDHAT, AZURELINUX),
            Remove("/var/cache/tdnf/*").on(AZURELINUX),
            Remove("/var/cache/zypp/*", "/var/adm/backup/rpmdb/*").on(SUSE),
            Remove("/var/cache/PackageKit/*", "/var/lib/snapd/cache/*"),
        ),
        severity="warning",
        last=True,
    ),
)
