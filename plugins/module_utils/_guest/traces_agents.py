# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Traces of registration: identities that the machine has on somebody's server.

The server is not told: what it should forget is told to it by tasks before, while the machine can still prove
who it is.
"""

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    DEBIAN,
    REDHAT,
    SUSE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Lines, Remove, without
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace

_SHARED = "Two machines with one identity replace each other on its server, or share its secret."

TRACES = (
    Trace(
        "popularity-ids",
        "Ids for statistics and crash reports",
        "They were given to one machine.",
        (
            Lines("/etc/popularity-contest.conf", rewrite=without("MY_HOSTID=")).on(DEBIAN),
            Remove("/var/lib/whoopsie/whoopsie-id", "/var/lib/apport/autoreport").on(DEBIAN),
            Remove("/var/lib/yum/uuid", "/var/lib/dnf/repos/*/countme", "/etc/sysconfig/hw-uuid").on(REDHAT),
            Remove("/var/lib/zypp/AnonymousUniqueId").on(SUSE),
        ),
        last=True,
    ),
    Trace(
        "ubuntu-pro",
        "Ubuntu Pro attachment",
        "Every machine would use the token of one; attach machines after their birth.",
        (
            Remove(
                "/var/lib/ubuntu-advantage/{private/*,machine-access*.json,machine-token.json,machine-id}",
                "/var/lib/ubuntu-advantage/{status.json,jobs-status.json}",
                "/etc/apt/auth.conf.d/90ubuntu-advantage",
                "/var/lib/ubuntu-pro/private/*",
            ).on(DEBIAN),
        ),
    ),
    Trace(
        "landscape",
        "Landscape registration",
        _SHARED,
        (Remove("/var/lib/landscape/client/*", "/etc/landscape/*.bpickle").on(DEBIAN),),
    ),
    Trace(
        "snap-device",
        "Snap device keys",
        "They identify the device. Off: snapd makes no new ones while its state names the old.",
        (Remove("/var/lib/snapd/device/private-keys-v1/*"),),
        severity="info",
        default=False,
    ),
    Trace(
        "red-hat-subscription",
        "Registration with Red Hat, Satellite or Spacewalk",
        "Copies would all be the one registered system. Keys of Azure's own update servers stay.",
        (
            Remove("/etc/pki/{consumer,entitlement}/*", "/var/lib/rhsm/{cache,facts,packages}/*").on(REDHAT),
            Remove("/etc/yum.repos.d/redhat.repo", having=b"subscription-manager").on(REDHAT),
            Remove("/etc/insights-client/{machine-id,.registered,.unregistered,.lastupload}").on(REDHAT),
            Remove("/etc/sysconfig/rhn/{systemid,osad-auth.conf}", "/var/spool/up2date/*").on(REDHAT, SUSE),
        ),
        last=True,
    ),
    Trace(
        "suse-registration",
        "Registration with the SUSE Customer Center",
        "Copies would all be the one registered system.",
        (
            Remove("/etc/zypp/credentials.d/{SCC,NCC}credentials", "/etc/SUSEConnect").on(SUSE),
            Remove("/var/{lib,cache}/cloudregister/*").on(SUSE),
        ),
        last=True,
    ),
    Trace(
        "directory-membership",
        "Membership in a domain or realm",
        "The machine account belongs to one machine; its keys let any copy act as it.",
        (
            Remove("/etc/krb5.keytab", "/var/lib/sss/{db,mc,pubconf/krb5.include.d,secrets,gpo_cache}/*"),
            Remove("/var/lib/sss/keytabs/*", "/var/lib/ipa-client/{pki,sysrestore}/*", "/etc/ipa/nssdb/*"),
            Remove("/etc/ipa/{default.conf,ca.crt}"),
            Remove(
                "/var/lib/samba/private/secrets.tdb",
                "/var/{lib,cache}/samba/{winbindd,netsamlogon}_cache.tdb",
            ),
            Remove("/etc/opt/quest/vas/host.keytab", "/var/centrifydc/*"),
        ),
    ),
    Trace(
        "configuration-agents",
        "Identity of Puppet, Salt, Chef and CFEngine",
        _SHARED,
        (
            Remove("/etc/puppetlabs/puppet/ssl", "/var/lib/puppet/{ssl,state}", "/etc/puppet/ssl"),
            Remove("/opt/puppetlabs/puppet/cache/{client_data,state,clientbucket,client_yaml}"),
            Remove("/etc/{salt,venv-salt-minion}/pki/minion/*", "/etc/{salt,venv-salt-minion}/minion_id"),
            Remove("/var/cache/{salt/minion,venv-salt-minion}/*"),
            Remove("/etc/{chef,cinc}/{client.pem,validation.pem}", "/var/{chef,cinc}/{cache,backup}/*"),
            Remove("/var/cfengine/{ppkeys/*,policy_server.dat}", "/opt/rudder/etc/uuid.hive"),
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
            Remove("/var/db/newrelic-infra/data/*", "/opt/splunk{,forwarder}/etc/instance.cfg"),
            Remove("/var/lib/netdata/{registry/netdata.public.unique.id,cloud.d/*}"),
            Remove("/var/lib/{grafana-agent,alloy/data}/agent_seed.json"),
            Remove("/var/lib/cmk-agent/registered_connections.json"),
            Remove("/var/lib/dynatrace/oneagent/agent/config/ruxithost.id"),
            Remove("/var/lib/icinga2/{certs/*,icinga2.state*}"),
            Remove(
                "/etc/opt/microsoft/azuremonitoragent/config-cache", "/var/opt/microsoft/omsagent/*/state"
            ),
            Remove("/etc/opt/microsoft/omsagent/*/certs/*"),
            Remove("/var/opt/azcmagent/{agentconfig.json,certs/*,tokens/*}"),
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
            Remove("/etc/tenable_tag", "/opt/nessus_agent/var/nessus/{uuid,global.db,master.key}"),
            Remove("/var/osquery/osquery.db", "/opt/orbit/{secret-orbit-node-key.txt,osquery.db}"),
            Remove("/var/opt/BESClient/{besclient.config,__BESData}"),
        ),
    ),
    Trace(
        "mesh-agents",
        "Identity of overlay networks, remote access and orchestrators",
        _SHARED,
        (
            Remove("/var/lib/tailscale/*", "/var/lib/zerotier-one/identity.{secret,public}"),
            Remove("/etc/netbird/config.json", "/var/lib/teleport/{host_uuid,proc/*}"),
            Remove("/var/lib/consul/node-id", "/opt/consul/node-id", "/var/lib/nomad/client/client-id"),
            Remove("/etc/docker/key.json", "/var/lib/docker/{engine-id,swarm/*}"),
            Remove("/etc/cockpit/ws-certs.d/0-self-signed*"),
        ),
    ),
    Trace(
        "build-runners",
        "Registration of build and pipeline runners",
        "Copies would take each other's jobs, with the rights of the one that was registered.",
        (
            Remove("~/{actions-runner,azagent,myagent}/{.runner,.agent,.credentials,.credentials_rsaparams}"),
            Remove("/etc/gitlab-runner/{config.toml,.runner_system_id}"),
        ),
        last=True,
    ),
    Trace(
        "kubernetes-node",
        "Identity of a Kubernetes node",
        "A node's certificates let any copy act as it. Off: node images may carry files under these names.",
        (
            Remove("/var/lib/kubelet/pki/*", "/etc/kubernetes/{kubelet,bootstrap-kubelet,admin}.conf"),
            Remove("/etc/rancher/node/password", "/var/lib/rancher/{k3s,rke2}/agent/*.{key,crt,kubeconfig}"),
        ),
        severity="info",
        default=False,
    ),
    Trace(
        "vpn-keys",
        "Keys of virtual private networks",
        "A peer takes all copies for one machine. Off: the configuration that holds them may be wanted.",
        (
            Remove("/etc/wireguard/*.conf", having=b"PrivateKey"),
            Remove("/etc/wireguard/*.key"),
            Remove("/etc/openvpn/{,client/,server/}*.{key,p12}"),
        ),
        severity="info",
        default=False,
    ),
)
