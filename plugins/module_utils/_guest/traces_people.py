# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Traces of people: accounts, keys, histories, mail, jobs."""

from typing import List

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.accounts import Accounts, lock_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    AZURELINUX,
    DEBIAN,
    FLATCAR,
    REDHAT,
    SUSE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Lines, Remove
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace


def _without_git_user(_guest: Guest, lines: List[str]) -> List[str]:
    """A git-config(1) file without what its [user] section says about a person."""
    kept = []
    section = ""
    for line in lines:
        text = line.strip().lower()
        if text.startswith("["):
            section = text.partition("]")[0]
        if section != "[user" or text.partition("=")[0].strip() not in {"name", "email", "signingkey"}:
            kept.append(line)
    return kept


TRACES = (
    Trace(
        "build-accounts",
        "Accounts the image was built with",
        "An account with a known key or password in every machine is a way into all of them.",
        (Accounts(lambda guest: guest.accounts),),
        last=True,
    ),
    Trace(
        "people-accounts",
        "Other accounts of people",
        "Few accounts with a login shell are meant for an image. Off: only you know which ones.",
        (Accounts(Guest.people),),
        severity="warning",
        default=False,
        last=True,
    ),
    Trace(
        "root-password",
        "Password of root",
        "All machines of the image would share it.",
        (Lines("/etc/shadow", rewrite=lock_root),),
        last=True,
    ),
    Trace(
        "account-file-backups",
        "Backup copies of the account files",
        "They keep the names and password hashes of removed accounts.",
        (
            Remove("/etc/{passwd,shadow,group,gshadow,subuid,subgid}-"),
            Remove("/var/backups/{passwd,shadow,group,gshadow}.bak*"),
            Remove("/etc/{passwd,shadow,group,gshadow,subuid,subgid,sudoers}{~,.edit}"),
            Remove("/etc/{passwd,shadow,group,gshadow,subuid,subgid,sudoers}.{orig,old,bak,dpkg-old}"),
            Remove("/etc/{passwd,shadow,group,gshadow,sudoers}.{rpmsave,rpmorig,YaST2save}").on(REDHAT, SUSE),
        ),
        last=True,
    ),
    Trace(
        "authorized-keys",
        "Keys that may log in",
        "Their owners could log in to every machine of the image.",
        (Remove("~/.ssh/authorized_keys*"),),
        last=True,
    ),
    Trace(
        "known-hosts",
        "Hosts that people connected to",
        "They list the machines of the build network.",
        (Remove("~/.ssh/known_hosts*"),),
        last=True,
    ),
    Trace(
        "ssh-client-config",
        "SSH client settings of people",
        "They name hosts and accounts of the build network. Off: they may be wanted.",
        (Remove("~/.ssh/config", having=b"HostName"),),
        severity="info",
        default=False,
        last=True,
    ),
    Trace(
        "git-identity",
        "Names and addresses in Git's settings",
        "Whoever commits on a machine of the image would sign with the name of the builder.",
        (Lines("~/.gitconfig", "~/.config/git/config", "/etc/gitconfig", rewrite=_without_git_user),),
        severity="warning",
        last=True,
    ),
    Trace(
        "shell-history",
        "Shell histories",
        "They show what people typed, passwords included.",
        (
            Remove(
                "~/.{bash,zsh,ash,sh,ksh,tcsh}_history",
                "~/.bash_history-*.tmp",
                "~/.{history,zhistory,histfile}",
                "~/.{bash,zsh}_sessions",
                "~/.local/share/fish/fish_history",
            ),
        ),
        last=True,
    ),
    Trace(
        "program-history",
        "Histories of editors, pagers and database clients",
        "They name files, hosts and queries, at times with passwords.",
        (
            Remove(
                "~/.{lesshst,viminfo,viminfo.tmp,python_history,mysql_history,psql_history,sqlite_history}",
                "~/.{rediscli_history,node_repl_history,irb_history,php_history,gdb_history,dbshell}",
                "~/.{mongosh,mariadb_history,lua_history,octave_hist,units_history,calc_history,rnd}",
                "~/.local/state/{lesshst,nvim/shada,python_history}",
                "~/.local/share/{recently-used.xbel,nvim/shada,Trash}",
                "~/.{ipython/profile_default/history.sqlite,wget-hsts,lftp,xsession-errors*}",
                "~/.{vim/.netrwhist,w3m/history,local/share/mc/history,local/share/gvfs-metadata}",
            ),
        ),
        last=True,
    ),
    Trace(
        "user-caches",
        "Caches of people's programs",
        "They hold downloads, tokens and the addresses of servers.",
        (
            Remove(
                "~/.cache",
                "~/.{thumbnails,ansible,ansible_async,vscode-server,Xauthority,ICEauthority}",
                "~/.{config/pulse,pulse-cookie,esd_auth,dbus}",
                "~/.{sudo_as_admin_successful,motd_shown}",
                "~/.npm/{_logs,_cacache}",
            ),
        ),
        last=True,
    ),
    Trace(
        "mail",
        "Mail",
        "It is addressed to somebody.",
        (
            Remove("/var/mail/*", "/var/spool/mail/*", "~/mbox", "~/dead.letter", "~/Maildir"),
            Remove("/var/spool/{exim,exim4}/{input,msglog,db}/*", "/var/spool/{mqueue,clientmqueue}/*"),
            Remove(
                "/var/spool/postfix/{active,bounce,corrupt,defer,deferred,hold,incoming,maildrop,flush,trace}/*"
            ),
        ),
    ),
    Trace(
        "at-jobs",
        "Jobs to run at a time",
        "Every machine of the image would run them.",
        (
            Remove(
                "/var/spool/{cron/,}{atjobs,atspool}/*",
                "/var/spool/at/*",
                "/var/spool/at/spool/*",
                unless=(".SEQ", ".lockfile", "spool"),
            ),
        ),
    ),
    Trace(
        "user-crontabs",
        "Crontabs of accounts",
        "Every machine of the image runs them. Off: that is often what they are in the image for.",
        (
            Remove("/var/spool/cron/crontabs/*").on(DEBIAN, FLATCAR),
            Remove("/var/spool/cron/*", only="file").on(REDHAT, AZURELINUX),
            Remove("/var/spool/cron/tabs/*").on(SUSE),
        ),
        severity="info",
        default=False,
    ),
)
