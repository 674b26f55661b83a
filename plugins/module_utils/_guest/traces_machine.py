# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Traces of the machine: its identity, its network, what provisioned it."""

import re
from typing import List

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import (
    Content,
    Lines,
    Remove,
    Rewrite,
    SwapContents,
    Truncate,
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


def _without(pattern: str) -> Rewrite:
    expression = re.compile(pattern)
    return lambda _guest, lines: [line for line in lines if not expression.match(line)]


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
            Lines("/etc/machine-info", rewrite=_without(r"\s*(PRETTY_HOSTNAME|LOCATION|DEPLOYMENT)=")),
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
                "/var/lib/urandom/random-seed",
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
        "dhcp-leases",
        "DHCP leases and client ids",
        "Copies would ask for the address of the original, or all present the same client id.",
        (
            Remove("/var/lib/dhcp/*.lease{,s,s~}", "/var/lib/dhcp/*.leases.*", "/var/lib/dhclient/*.lease*"),
            Remove("/var/lib/dhcpcd/*", "/var/lib/dhcpcd5/*", "/etc/dhcpcd.duid", "/etc/dhcpcd.secret"),
            Remove("/var/lib/systemd/network/*"),
            Remove(
                "/var/lib/NetworkManager/*.lease",
                "/var/lib/NetworkManager/*.lease{s,6}",
                "/var/lib/NetworkManager/{secret_key,timestamps,seen-bssids,dhclient-*.conf}",
            ),
        ),
        last=True,
    ),
    Trace(
        "resolver",
        "Name servers of the build network",
        "They mean nothing, or something else, where the image boots; DHCP brings new ones.",
        # A link belongs to whoever manages it and points into memory.
        (Lines("/etc/resolv.conf", rewrite=_without(r"\s*(nameserver|search|domain|options|#)")),),
        severity="warning",
        last=True,
    ),
    Trace(
        "udev-network-rules",
        "Persistent network interface names",
        "They bind eth0 to the MAC address of one machine, so that a copy has no eth0.",
        (
            Remove(
                "/etc/udev/rules.d/*-persistent-net.rules",
                "/etc/udev/rules.d/*-persistent-net-generator.rules",
                "/etc/udev/rules.d/70-persistent-cd.rules",
            ),
        ),
        last=True,
    ),
    Trace(
        "generated-network-config",
        "Network configuration written at boot",
        "cloud-init wrote it for one machine's interfaces and writes it again for the next.",
        (
            Remove(
                "/etc/netplan/50-cloud-init.yaml",
                "/etc/network/interfaces.d/50-cloud-init*",
                "/etc/systemd/network/10-cloud-init-*",
                "/etc/NetworkManager/system-connections/cloud-init-*",
                "/etc/NetworkManager/conf.d/*cloud-init*.conf",
            ),
        ),
        last=True,
        applies=Guest.cloud_init_sets_up_network,
    ),
    Trace(
        "installer-config",
        "Configuration left by an installer",
        "It pins the data source and network of the first machine and can hold a person's password hash.",
        (
            Remove(
                "/etc/cloud/cloud.cfg.d/{99-installer,50-curtin-networking,curtin-preserve-sources}.cfg",
                "/etc/cloud/cloud.cfg.d/{subiquity-disable-cloudinit-networking,90-installer-network}.cfg",
                "/etc/netplan/{00,01}-installer-config*.yaml",
                "/var/lib/{ubiquity,subiquity}",
            ),
        ),
        last=True,
        applies=Guest.cloud_init_sets_up_network,
    ),
    Trace(
        "network-manager-connections",
        "NetworkManager connections with a MAC address",
        "Tied to a MAC address, it does not come up elsewhere. Off: somebody may have written it on purpose.",
        (Remove("/etc/NetworkManager/system-connections/*", having=b"mac-address="),),
        severity="info",
        default=False,
        last=True,
    ),
    Trace(
        "agent-state",
        "Azure Linux Agent state",
        "It holds the certificates, settings and ovf-env.xml of the machine the agent ran on.",
        (Remove("/var/lib/waagent/*", "/etc/sudoers.d/waagent"),),
        last=True,
    ),
    Trace(
        "agent-logs",
        "Azure Linux Agent logs",
        "They name the machine, its addresses and its extensions.",
        (Remove("/var/log/waagent.log*", "/var/log/azure/*"),),
        last=True,
    ),
    Trace(
        "cloud-init-state",
        "cloud-init state and seed",
        "The next machine would be taken for one that is set up already; a seed holds accounts and keys.",
        (Remove("/var/lib/cloud/*"),),
        last=True,
    ),
    Trace(
        "cloud-init-logs",
        "cloud-init logs",
        "They hold user data, host names and keys.",
        (Remove("/var/log/cloud-init*.log*"),),
        last=True,
    ),
    Trace(
        "cloud-init-config",
        "Configuration written by cloud-init",
        "It gives the first machine's account sudo rights and SSH settings.",
        (Remove("/etc/sudoers.d/90-cloud-init-users", "/etc/ssh/sshd_config.d/50-cloud-init.conf"),),
        last=True,
    ),
    Trace(
        "storage-identity",
        "Storage initiator names",
        "A storage server gives two machines with the same initiator name each other's disks.",
        (
            Lines("/etc/iscsi/initiatorname.iscsi", rewrite=lambda _guest, _lines: ["GenerateName=yes"]),
            Remove("/etc/nvme/{hostid,hostnqn}", "/etc/multipath/{bindings,wwids}"),
        ),
    ),
    Trace(
        "lvm-devices",
        "LVM devices file and metadata copies",
        "LVM ignores disks that the devices file does not name; copies hold the host name.",
        (Remove("/etc/lvm/devices/*", "/etc/lvm/archive/*", "/etc/lvm/backup/*", "/etc/lvm/cache/.cache"),),
        last=True,
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
        "Paired devices and power history",
        "They identify hardware the image will not run on.",
        (
            Remove(
                "/var/lib/bluetooth/*", "/var/lib/upower/history-*", "/var/lib/systemd/{rfkill,backlight}/*"
            ),
        ),
        severity="warning",
    ),
    Trace(
        "timer-stamps",
        "When timers last ran",
        "A new machine would skip daily work that the first one had done.",
        (Remove("/var/lib/systemd/timers/*", "/var/spool/anacron/*", "/var/lib/apt/periodic/*"),),
        severity="warning",
        last=True,
    ),
    Trace(
        "crash-dumps",
        "Crash dumps and core files",
        "A dump is a copy of memory, with whatever secrets were in it.",
        (
            Remove("/var/crash/*", "/var/lib/systemd/{coredump,pstore}/*", "/var/lib/apport/coredump/*"),
            Remove("/{core,core.[0-9]*}", "/{root,tmp}/{core,core.[0-9]*}", "/var/lib/kdump/*"),
        ),
    ),
    Trace(
        "snakeoil-certificate",
        "Self-signed certificate of package ssl-cert",
        "All machines of the image share its private key. Off: services that use it do not start without it.",
        (Remove("/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem"),),
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
    Trace(
        "debconf-passwords",
        "Passwords answered during installation",
        "debconf keeps them in a file of its own.",
        (Truncate("/var/cache/debconf/passwords.dat{,-old}"),),
    ),
)
