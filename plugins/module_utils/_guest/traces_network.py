# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Traces of the network and the storage that the machine was built in."""

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    AZURELINUX,
    DEBIAN,
    FLATCAR,
    REDHAT,
    SUSE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Lines, Remove, without
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace

_CLOUD_INIT_MARK = b"Created by cloud-init"

TRACES = (
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
            Remove("/var/lib/wicked/*").on(SUSE),
        ),
        last=True,
    ),
    Trace(
        "dhcp-server-leases",
        "Leases that DHCP servers gave",
        "They name the machines of the build network.",
        (
            Remove("/var/lib/dhcpd/*.leases*", "/var/lib/kea/*.csv*"),
            Remove("/var/lib/{misc,dnsmasq}/*.leases", "/var/lib/libvirt/dnsmasq/*.{leases,status}"),
        ),
        last=True,
    ),
    Trace(
        "resolver",
        "Name servers of the build network",
        "They mean nothing, or something else, where the image boots; DHCP brings new ones.",
        # A link belongs to whoever manages it and points into memory.
        (Lines("/etc/resolv.conf", rewrite=without(r"\s*(nameserver|search|domain|options|#)")),),
        severity="warning",
        last=True,
    ),
    Trace(
        "udev-network-rules",
        "Persistent network interface names",
        "They bind eth0 to the MAC address of one machine, so that a copy has no eth0.",
        (Remove("/etc/udev/rules.d/*-persistent-{net,net-cloud-init,cd}.rules"),),
        last=True,
    ),
    Trace(
        "hardware-addresses",
        "Hardware addresses in interface files",
        "An interface file with another machine's address is passed over, and the interface stays down.",
        (
            Lines(
                "/etc/sysconfig/network-scripts/ifcfg-*",
                rewrite=without(r"\s*(HWADDR|UUID)="),
            ).on(REDHAT, AZURELINUX),
            Lines("/etc/sysconfig/network/ifcfg-*", rewrite=without(r"\s*(HWADDR|_nm_name)=")).on(SUSE),
        ),
        severity="warning",
        last=True,
    ),
    Trace(
        "generated-network-config",
        "Network configuration written at boot",
        "cloud-init wrote it for one machine's interfaces and writes it again for the next.",
        (
            Remove("/etc/netplan/50-cloud-init.yaml", "/etc/systemd/network/10-cloud-init-*"),
            Remove("/etc/network/interfaces.d/50-cloud-init*").on(DEBIAN),
            Remove("/etc/sysconfig/network-scripts/{ifcfg,route,route6}-*", having=_CLOUD_INIT_MARK).on(
                REDHAT, AZURELINUX
            ),
            Remove("/etc/sysconfig/network/{ifcfg,ifroute}-*", having=_CLOUD_INIT_MARK).on(SUSE),
            Remove(
                "/etc/NetworkManager/system-connections/cloud-init-*",
                "/etc/NetworkManager/conf.d/*cloud-init*.conf",
            ),
        ),
        last=True,
        applies=Guest.cloud_init_sets_up_network,
    ),
    Trace(
        "network-manager-connections",
        "Network settings tied to a MAC address",
        "They do not come up elsewhere. Off: somebody may have written them on purpose.",
        (
            Remove("/etc/NetworkManager/system-connections/*", having=b"mac-address="),
            Remove("/etc/systemd/network/*.{link,network}", having=b"MACAddress="),
        ),
        severity="info",
        default=False,
        last=True,
    ),
    Trace(
        "storage-identity",
        "Storage initiator names",
        "A storage server gives two machines with the same initiator name each other's disks.",
        (
            # Debian's start script reads the wish for a new name; the others make one when the file is gone.
            Lines("/etc/iscsi/initiatorname.iscsi", rewrite=lambda _guest, _lines: ["GenerateName=yes"]).on(
                DEBIAN
            ),
            Remove("/etc/iscsi/initiatorname.iscsi", having=b"InitiatorName=").on(
                REDHAT, SUSE, AZURELINUX, FLATCAR
            ),
            Remove("/etc/nvme/{hostid,hostnqn}", "/etc/multipath/{bindings,wwids}"),
        ),
    ),
    Trace(
        "lvm-devices",
        "LVM devices file and metadata copies",
        "LVM ignores disks that the devices file does not name; copies hold the host name.",
        (
            Remove(
                "/etc/lvm/devices/*", "/etc/lvm/{archive,backup}/*", "/etc/lvm/cache/{.cache,backup,archive}"
            ),
        ),
        last=True,
    ),
    Trace(
        "device-lists",
        "Lists of the devices that were there",
        "They identify hardware the image will not run on.",
        (
            Remove("/etc/blkid{,/blkid}.tab{,.old}", "/etc/sysconfig/hwconf"),
            Remove("/var/lib/hardware/{unique-keys,udi}/*").on(SUSE),
        ),
        severity="warning",
    ),
)
