# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Traces of the machine: its identity, its secrets, its memory."""

from typing import List

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    DEBIAN,
    REDHAT,
    SUSE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import (
    Content,
    Lines,
    Remove,
    SwapContents,
    without,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace


def _hosts_without_names(guest: Guest, lines: List[str]) -> List[str]:
    """/etc/hosts without the machine's own names; 127.0.1.1 is where Debian and cloud-init write them."""
    names = {name.lower() for full in guest.hostnames for name in (full, full.partition(".")[0])}
    names -= {"", "localhost"}
    kept = []
    for line in lines:
        fields = line.partition("#")[0].split()
        if not fields:
            kept.append(line)
            continue
        own = fields[0] == "127.0.1.1"
        left = [
            name
            for name in fields[1:]
            if name.lower().partition(".")[0] == "localhost"
            or not (own or name.lower() in names or name.lower().partition(".")[0] in names)
        ]
        if left == fields[1:]:
            kept.append(line)
        elif left:
            kept.append(" ".join([fields[0]] + left))
    return kept


TRACES = (
    Trace(
        "machine-id",
        "Machine id",
        "Journals and DHCP tell machines apart by it; an empty file gets a new one at the first boot.",
        (Content("/etc/machine-id", b""), Remove("/var/lib/dbus/machine-id", only="file")),
        last=True,
    ),
    Trace(
        "boot-entry-token",
        "Name that boot entries are filed under",
        "It is often the machine id of the first machine. Off: boot entries are filed under it.",
        (Remove("/etc/kernel/entry-token"),),
        severity="info",
        default=False,
        last=True,
    ),
    Trace(
        "hostname",
        "Host name",
        "Two machines would answer to the name of the one the image was made from.",
        (
            Content("/etc/hostname", b"localhost\n"),
            Content("/etc/mailname", b"localhost\n"),
            Lines("/etc/machine-info", rewrite=without(r"\s*(PRETTY_HOSTNAME|LOCATION|DEPLOYMENT)=")),
            Lines("/etc/sysconfig/network", rewrite=without(r"\s*(DHCP_)?HOSTNAME=")).on(REDHAT),
            Lines("/etc/sysconfig/network-scripts/ifcfg-*", rewrite=without(r"\s*DHCP_HOSTNAME=")).on(REDHAT),
            # A link to /etc/hostname where it is not an old file of its own.
            Lines("/etc/HOSTNAME", rewrite=lambda _guest, _lines: ["localhost"]).on(SUSE),
        ),
        last=True,
    ),
    Trace(
        "hosts-entries",
        "Own names in /etc/hosts",
        "The old name would resolve to every machine made from the image.",
        (Lines("/etc/hosts", rewrite=_hosts_without_names),),
        last=True,
    ),
    Trace(
        "ssh-host-keys",
        "SSH host keys",
        "Whoever owns one machine could impersonate all others; cloud-init or the agent makes new ones.",
        (
            Remove("/etc/ssh/ssh_host_*"),
            Remove("/etc/dropbear/dropbear_*_host_key", "/etc/dropbear/initramfs/dropbear_*_host_key"),
        ),
        last=True,
    ),
    Trace(
        "random-seed",
        "Saved random seeds",
        "Machines that start from the same seed can make the same keys.",
        (
            Remove(
                "/var/lib/systemd/random-seed",
                "/var/lib/{urandom/,misc/,}random-seed",
                "/{boot,efi,boot/efi}/loader/random-seed",
            ),
        ),
        last=True,
    ),
    Trace(
        "machine-secrets",
        "Secrets tied to the machine",
        "systemd seals credentials with this secret or the TPM of one machine; copies would share it.",
        (Remove("/var/lib/systemd/credential.secret", "/var/lib/systemd/tpm2-srk-public-key.*"),),
    ),
    Trace(
        "swap-contents",
        "Contents of swap files",
        "Memory that was swapped out can hold passwords and keys of running programs.",
        (SwapContents(),),
        last=True,
    ),
    Trace(
        "bluetooth-and-power",
        "Paired devices, fingerprints and power history",
        "They identify hardware the image will not run on, or a person.",
        (
            Remove("/var/lib/{bluetooth,iwd,fprint,boltd}/*", "/var/lib/upower/history-*"),
            Remove("/var/lib/systemd/{rfkill,backlight}/*"),
        ),
        severity="warning",
    ),
    Trace(
        "clock-drift",
        "Error of the machine's clock",
        "Another machine's clock is wrong in another way, and is set wrong by it at first.",
        (
            Remove("/var/lib/chrony/*", "/var/lib/ntp/{ntp.drift,drift/ntp.drift}"),
            Remove("/var/lib/systemd/timesync/clock", "/var/lib/private/systemd/timesync/clock"),
        ),
        severity="warning",
        last=True,
    ),
    Trace(
        "timer-stamps",
        "When timers last ran",
        "A new machine would skip daily work that the first one had done.",
        (
            Remove("/var/lib/systemd/timers/*", "/var/spool/anacron/*", "/var/lib/apt/periodic/*"),
            Remove("/var/lib/{logrotate,misc}/{logrotate.status,status}", "/var/lib/logrotate.status"),
            Remove("/var/spool/cron/lastrun/*"),
        ),
        severity="warning",
        last=True,
    ),
    Trace(
        "crash-dumps",
        "Crash dumps and core files",
        "A dump is a copy of memory, with whatever secrets were in it.",
        (
            Remove("/var/crash/*", "/var/lib/systemd/{coredump,pstore}/*", "/var/lib/apport/coredump/*"),
            # A directory of that name is somebody's work.
            Remove("/{core,core.[0-9]*}", "/{root,tmp}/{core,core.[0-9]*}", only="file"),
            Remove("/var/spool/abrt/*", "/var/spool/abrt-upload/*", "/var/cache/abrt-di/*").on(REDHAT),
        ),
    ),
    Trace(
        "snakeoil-certificate",
        "Self-signed certificates made at installation",
        "All machines of the image share its private key. Off: services that use it do not start without it.",
        (
            Remove("/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem").on(
                DEBIAN
            ),
            Remove("/etc/pki/tls/private/localhost.key", "/etc/pki/tls/certs/localhost.crt").on(REDHAT),
        ),
        severity="info",
        default=False,
    ),
    Trace(
        "zfs-host-id",
        "ZFS host id",
        "Pools remember it. Off: a root pool may not import without it.",
        (Remove("/etc/hostid"),),
        severity="info",
        default=False,
    ),
)
