# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Traces of software: logs, caches, and the identities that agents registered under."""

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import (
    Lines,
    Logs,
    Remove,
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
_SHARED = "Two machines with one identity replace each other on its server, or share its secret."

TRACES = (
    Trace(
        "login-records",
        "Who logged in, when and from where",
        "They name people and addresses of the build network.",
        (
            Truncate(*_LOGIN_RECORDS),
            Remove("/var/log/{wtmp,btmp}[.-]*", "/var/lib/wtmpdb/*", "/var/lib/lastlog/*"),
            Remove("/var/lib/fail2ban/*", "/var/lib/sudo/{ts,lectured}/*"),
        ),
        last=True,
    ),
    Trace(
        "journal",
        "Journals of systemd",
        "They hold the machine's whole life, filed under its machine id.",
        (Remove("/var/log/journal/*", "/var/log/journal.remote/*"),),
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
        "installer-logs",
        "Logs of the installer",
        "They hold the answers given to it, at times with passwords.",
        (Remove("/var/log/installer", "/root/{install.log,preseed.cfg,anaconda-ks.cfg}"),),
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
        "package-caches",
        "Downloaded packages and package lists",
        "They are out of date in every machine made later and only make the image larger.",
        (
            Remove("/var/cache/apt/archives/*.deb", "/var/cache/apt/archives/partial/*"),
            Remove("/var/cache/apt/*.bin"),
            Remove("/var/lib/apt/lists/*", unless=("lock", "partial", "auxfiles")),
            Remove("/var/lib/apt/lists/partial/*"),
        ),
        severity="warning",
        last=True,
    ),
    Trace(
        "popularity-ids",
        "Ids for statistics and crash reports",
        "They were given to one machine.",
        (
            Lines(
                "/etc/popularity-contest.conf",
                rewrite=lambda _guest, lines: [line for line in lines if not line.startswith("MY_HOSTID=")],
            ),
            Remove("/var/lib/whoopsie/whoopsie-id", "/var/lib/apport/autoreport"),
        ),
    ),
    Trace(
        "ubuntu-pro",
        "Ubuntu Pro attachment",
        "Every machine would use the token of one; attach machines after their birth.",
        (
            Remove(
                "/var/lib/ubuntu-advantage/{private/*,machine-access*.json,machine-token.json,machine-id}"
            ),
            Remove("/var/lib/ubuntu-advantage/{status.json,jobs-status.json}"),
            Remove("/etc/apt/auth.conf.d/90ubuntu-advantage", "/var/lib/ubuntu-pro/private/*"),
        ),
        families=("ubuntu",),
    ),
    Trace(
        "landscape",
        "Landscape registration",
        _SHARED,
        (Remove("/var/lib/landscape/client/*", "/etc/landscape/*.bpickle"),),
        families=("ubuntu",),
    ),
    Trace(
        "snap-device",
        "Snap device keys",
        "They identify the device. Off: snapd makes no new ones while its state names the old.",
        (Remove("/var/lib/snapd/device/private-keys-v1/*"),),
        severity="info",
        default=False,
        families=("ubuntu",),
    ),
    Trace(
        "directory-membership",
        "Membership in a domain or realm",
        "The machine account belongs to one machine; its keys let any copy act as it.",
        (
            Remove("/etc/krb5.keytab", "/var/lib/sss/{db,mc,pubconf/krb5.include.d,secrets}/*"),
            Remove(
                "/var/lib/samba/private/secrets.tdb",
                "/var/{lib,cache}/samba/{winbindd,netsamlogon}_cache.tdb",
            ),
        ),
    ),
    Trace(
        "configuration-agents",
        "Identity of Puppet, Salt and Chef",
        _SHARED,
        (
            Remove("/etc/puppetlabs/puppet/ssl", "/var/lib/puppet/{ssl,state}", "/etc/puppet/ssl"),
            Remove("/opt/puppetlabs/puppet/cache/{client_data,state,clientbucket,client_yaml}"),
            Remove("/etc/salt/pki/minion/*", "/etc/salt/minion_id", "/var/cache/salt/minion/*"),
            Remove("/etc/{chef,cinc}/{client.pem,validation.pem}", "/var/{chef,cinc}/{cache,backup}/*"),
        ),
    ),
    Trace(
        "monitoring-agents",
        "Identity of monitoring agents",
        _SHARED,
        (
            Remove("/etc/zabbix/*.psk"),
            Remove("/etc/datadog-agent/{auth_token,auth/*,install.json}", "/opt/datadog-agent/run/*"),
            Remove("/var/lib/{filebeat,metricbeat,packetbeat,auditbeat,heartbeat}/{meta.json,registry}"),
            Remove("{/var/lib/elastic-agent,/opt/Elastic/Agent}/{fleet.enc,state.enc,.secret,vault}"),
            Remove("/var/db/newrelic-infra/data/*", "/opt/splunkforwarder/etc/instance.cfg"),
            Remove("/var/lib/netdata/{registry/netdata.public.unique.id,cloud.d/*}"),
            Remove(
                "/etc/opt/microsoft/azuremonitoragent/config-cache", "/var/opt/microsoft/omsagent/*/state"
            ),
            Remove("/var/opt/azcmagent/{agentconfig.json,certs/*,tokens/*}", "/var/lib/amazon/ssm/Vault/*"),
        ),
    ),
    Trace(
        "security-agents",
        "Identity of security agents",
        _SHARED,
        (
            Remove("/etc/opt/microsoft/mdatp/mdatp_onboard.json", "/var/opt/microsoft/mdatp/wdavstate"),
            Remove("/etc/qualys/hostid", "/usr/local/qualys/cloud-agent/Default_Config.db"),
            Remove("/opt/CrowdStrike/falconstore{,.bak}", "/var/ossec/etc/client.keys"),
            Remove("/etc/tenable_tag"),
        ),
    ),
    Trace(
        "mesh-agents",
        "Identity of overlay networks and orchestrators",
        _SHARED,
        (
            Remove("/var/lib/tailscale/*", "/var/lib/zerotier-one/identity.{secret,public}"),
            Remove("/var/lib/consul/node-id", "/opt/consul/node-id", "/var/lib/nomad/client/client-id"),
            Remove("/etc/docker/key.json", "/var/lib/docker/engine-id", "/etc/vmware-tools/GuestProxyData"),
        ),
    ),
    Trace(
        "kubernetes-node",
        "Identity of a Kubernetes node",
        "A node's certificates let any copy act as it. Off: node images may carry files under these names.",
        (Remove("/var/lib/kubelet/pki/*", "/etc/kubernetes/{kubelet,bootstrap-kubelet,admin}.conf"),),
        severity="info",
        default=False,
    ),
    Trace(
        "vpn-keys",
        "Keys of virtual private networks",
        "A peer takes all copies for one machine. Off: the configuration that holds them may be wanted.",
        (Remove("/etc/wireguard/*.conf", having=b"PrivateKey"), Remove("/etc/wireguard/*.key")),
        severity="info",
        default=False,
    ),
)
