# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Traces of what set the machine up: installers, the agent, cloud-init, the platform below it."""

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    DEBIAN,
    FLATCAR,
    REDHAT,
    SUSE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Remove, Truncate
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace

TRACES = (
    Trace(
        "installer-config",
        "Configuration left by an installer",
        "It pins the data source and network of the first machine and can hold a person's password hash.",
        (
            Remove(
                "/etc/cloud/cloud.cfg.d/{99-installer,50-curtin-networking,curtin-preserve-sources}.cfg",
                "/etc/cloud/cloud.cfg.d/{subiquity-disable-cloudinit-networking,90-installer-network}.cfg",
                "/var/lib/{ubiquity,subiquity}",
            ).on(DEBIAN),
        ),
        last=True,
    ),
    Trace(
        "installer-network",
        "Network configuration written by an installer",
        "It is of the network that the machine was installed in; cloud-init writes that of the next.",
        (Remove("/etc/netplan/{00,01}-installer-config*.yaml").on(DEBIAN),),
        last=True,
        applies=Guest.cloud_init_sets_up_network,
    ),
    Trace(
        "installer-logs",
        "Answers given to the installer, and its logs",
        "They hold a person's choices, at times with passwords or their hashes.",
        (
            Remove("/var/log/installer", "/root/{install.log,install.log.syslog,preseed.cfg}"),
            Remove("/root/{anaconda-ks,original-ks,initial-setup-ks}.cfg", "/var/log/anaconda").on(REDHAT),
            Remove("/root/autoinst.xml", "/var/adm/autoinstall", "/var/log/YaST2").on(SUSE),
        ),
    ),
    Trace(
        "debconf-passwords",
        "Passwords answered during installation",
        "debconf keeps them in a file of its own.",
        (Truncate("/var/cache/debconf/passwords.dat{,-old}").on(DEBIAN),),
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
        "ignition-result",
        "What Ignition did",
        "It tells the digest and the source of the first machine's configuration.",
        (Remove("/etc/.ignition-result.json").on(FLATCAR),),
        severity="warning",
    ),
    Trace(
        "update-client",
        "Ids of Flatcar's update client",
        "The update server takes machines with one id for one machine.",
        (Remove("/var/lib/update_engine/prefs/*").on(FLATCAR),),
        last=True,
    ),
    Trace(
        "host-parameters",
        "What the hypervisor told the guest",
        "The key-value pools of Hyper-V name the machine and the host it ran on.",
        (Remove("/var/lib/hyperv/.kvp_pool_*"),),
        last=True,
    ),
    Trace(
        "other-clouds",
        "What other clouds' agents keep",
        "They would take the machine for the instance they ran on before.",
        (
            Remove("/etc/{instance_id,boto.cfg}", "/etc/default/instance_configs.cfg"),
            Remove("/var/lib/amazon/ssm/{Vault,i-*,registration}", "/etc/vmware-tools/GuestProxyData"),
            Remove("/var/lib/oracle-cloud-agent/*"),
        ),
    ),
)
