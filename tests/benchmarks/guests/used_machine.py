# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a machine is like after people and programs have worked on it.

Written down from what Debian's own programs leave behind, not from our definitions: the same for everyone.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.guests.lab.ssh import SshGuest

HOSTNAME = "build-7f3a21c9"
ACCOUNT = "packer"
SECRET = "s3cr3t-0f9d41b7c2"

# The account that Azure's own provisioning would have named to the agent.
_OVF = """<?xml version="1.0"?>
<ns0:Environment xmlns:ns0="http://schemas.dmtf.org/ovf/environment/1"
 xmlns:ns1="http://schemas.microsoft.com/windowsazure">
 <ns1:ProvisioningSection><ns1:Version>1.0</ns1:Version><ns1:LinuxProvisioningConfigurationSet>
 <ns1:ConfigurationSetType>LinuxProvisioningConfiguration</ns1:ConfigurationSetType>
 <ns1:HostName>{hostname}</ns1:HostName><ns1:UserName>{user}</ns1:UserName>
 <ns1:DisableSshPasswordAuthentication>true</ns1:DisableSshPasswordAuthentication>
 </ns1:LinuxProvisioningConfigurationSet></ns1:ProvisioningSection></ns0:Environment>
"""
_USE = """
set -e
put() {{ text=$1; shift; for path; do mkdir -p "${{path%/*}}"; echo "$text" > "$path"; done; }}
hostnamectl set-hostname {hostname}
sed -i 's/^127.0.1.1.*/127.0.1.1 {hostname}.example {hostname}/' /etc/hosts
useradd -m -s /bin/bash -G sudo {account}
printf '%s:{secret}\\n' {account} root | chpasswd
put '{account} ALL=(ALL) NOPASSWD:ALL' /etc/sudoers.d/{account}
for home in /root /home/{account} /home/{user}; do
  cd $home
  put 'mysql -p{secret}' ./.bash_history ./.zsh_history ./.mysql_history ./.python_history ./.viminfo
  put '{secret}' ./.aws/credentials ./.azure/msal_token_cache.json ./.kube/config ./.docker/config.json
  put '{secret}' ./.config/gh/hosts.yml ./.netrc ./.pgpass ./.git-credentials ./.cache/pip/token ./.lesshst
  mkdir -p .ssh
  put '{hostname}.example ssh-ed25519 AAAA{secret}' ./.ssh/known_hosts
  ssh-keygen -q -t ed25519 -N '' -C {account}@{hostname} -f .ssh/id_ed25519
  cat .ssh/id_ed25519.pub >> .ssh/authorized_keys
  printf '[user]\\n\\tname = {account}\\n\\temail = {account}@{hostname}.example\\n' > .gitconfig
done
cd /
chown -R {account}: /home/{account}
chown -R {user}: /home/{user}
put '{secret}' /var/spool/cron/atjobs/a00001 /var/crash/core.812 /var/mail/root /var/mail/{account}
put '{secret}' /var/lib/systemd/coredump/core.1 /tmp/answers /var/tmp/notes
put '{hostname} {secret}' /var/log/nginx/access.log /var/log/nginx/access.log.1 /var/log/syslog
put '{hostname} {secret}' /var/log/auth.log /var/log/kern.log.2 /var/log/dpkg.log.1
gzip -c /var/log/syslog > /var/log/syslog.2.gz
put 'lease {{ option host-name "{hostname}"; }}' /var/lib/dhcp/dhclient.eth0.leases
put 'InitiatorName=iqn.1993-08.org.debian:01:{secret}' /etc/iscsi/initiatorname.iscsi
put '{secret}' /etc/puppetlabs/puppet/ssl/{hostname}.pem /etc/salt/pki/minion/minion.pem
put '{secret}' /etc/zabbix/agent.psk /var/lib/tailscale/tailscaled.state
put '{hostname}' /etc/salt/minion_id /var/lib/NetworkManager/internal-1-eth0.lease /etc/lvm/archive/vg_1.vg
put 'SUBSYSTEM=="net", ATTR{{address}}=="52:54:00:12:34:56", NAME="eth0"' \\
  /etc/udev/rules.d/70-persistent-net.rules
mkdir -p /var/backups
cp /etc/shadow /var/backups/shadow.bak
cp /etc/shadow /etc/shadow.orig
dd if=/dev/urandom of=/swapfile bs=1M count=8 status=none
printf '{secret}' | dd of=/swapfile bs=1 seek=5000000 conv=notrunc status=none
chmod 600 /swapfile
echo '/swapfile none swap sw,noauto 0 0' >> /etc/fstab
logger -t build '{hostname} {secret}'
mkdir -p /var/lib/waagent
cat > /var/lib/waagent/ovf-env.xml
"""


class Markers(NamedTuple):
    """Texts that name the machine or its people, by what they are."""

    texts: dict[str, bytes]


def use(guest: SshGuest) -> Markers:
    """Have a guest used, and say by which texts it and its people can be known afterwards."""
    names = {"hostname": HOSTNAME, "account": ACCOUNT, "secret": SECRET, "user": guest.user}
    guest.sudo(_USE.format(**names), stdin=_OVF.format(hostname=HOSTNAME, user=guest.user), timeout=300)
    read = guest.sudo(
        "cat /etc/machine-id; cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub;"
        f" cut -d' ' -f2 /home/{ACCOUNT}/.ssh/id_ed25519.pub; cut -d' ' -f2 /root/.ssh/id_ed25519.pub;"
        f" head -1 /home/{guest.user}/.ssh/authorized_keys | cut -d' ' -f2;"
        " cut -d: -f2 /etc/shadow | grep '^[$]'; sync"
    ).split()
    kinds = ["machine id", "host key", "key of an account", "key of root", "key that logs in"]
    texts = {kind: value.encode() for kind, value in zip(kinds, read, strict=False)}
    texts |= {f"password {number}": value.encode() for number, value in enumerate(read[len(kinds) :])}
    return Markers(texts | {"host name": HOSTNAME.encode(), "secret": SECRET.encode()})
