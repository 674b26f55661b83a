# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Traces that let somebody act as somebody else: private keys, tokens, passwords."""

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    DEBIAN,
    REDHAT,
    SUSE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Remove
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace

TRACES = (
    Trace(
        "private-keys",
        "Private keys of people",
        "Whoever gets a machine of the image gets the keys.",
        (
            Remove("~/.ssh/id_*", "~/.ssh/*.{pub,pem,ppk,key}"),
            Remove("~/.ssh/*", having=b"PRIVATE KEY"),
            Remove("~/.gnupg/{private-keys-v1.d/*,secring.gpg,random_seed,openpgp-revocs.d/*}"),
            Remove("~/*.{pem,ppk}", "~/*.key", having=b"PRIVATE KEY"),
            Remove("~/.config/sops/age/keys.txt", "~/.password-store"),
        ),
        last=True,
    ),
    Trace(
        "cloud-credentials",
        "Cloud, registry and version control credentials",
        "Whoever gets a machine of the image can act as their owner.",
        (
            Remove(
                "~/.{azure,aws,kube,oci,boto,s3cfg,databrickscfg,databricks,vault-token,terraformrc}",
                "~/.{netrc,git-credentials,pgpass,pypirc,smbcredentials,passwd-s3fs,chef,jfrog}",
                "~/.{cf,bluemix,snowsql,kaggle,mc/config.json,pulumi/credentials.json,vault_pass,vault_pass.txt}",
                "~/.config/{gcloud,gh,glab-cli,doctl,hcloud,rclone,azuredatastudio,op,scw,linode-cli}",
                "~/.config/{git/credentials,containers/auth.json,openstack/clouds.yaml}",
                "~/.config/{helm/registry/config.json,composer/auth.json}",
                "~/.{docker/config.json,terraform.d/credentials.tfrc.json,snap/auth.json}",
                "~/.{cargo/credentials*,gem/credentials,m2/settings-security.xml,composer/auth.json}",
                "~/.subversion/auth/*",
                "~/.local/share/keyrings",
            ),
            Remove("~/.{npmrc,yarnrc.yml}", having=b"uthToken"),
            Remove("~/.{my.cnf,mylogin.cnf,pip/pip.conf,config/pip/pip.conf}", having=b"password"),
            Remove("~/.{m2/settings.xml,gradle/gradle.properties,msmtprc,fetchmailrc}", having=b"assword"),
            Remove("~/.nuget/NuGet/NuGet.Config", having=b"Password"),
        ),
        last=True,
    ),
    Trace(
        "repository-credentials",
        "Passwords for package repositories",
        "Whoever gets a machine of the image can read them. Off: repositories do not answer without.",
        (
            Remove(
                "/etc/apt/auth.conf",
                "/etc/apt/auth.conf.d/*",
                having=b"password",
                unless=("90ubuntu-advantage",),
            ).on(DEBIAN),
            Remove("/etc/yum.repos.d/*.repo", having=b"\npassword").on(REDHAT),
            Remove("/etc/zypp/credentials.d/*", unless=("SCCcredentials", "NCCcredentials")).on(SUSE),
        ),
        severity="warning",
        default=False,
        last=True,
    ),
)
