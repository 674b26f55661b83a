# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Accounts as traces: everything of an account goes, not only its line in /etc/passwd.

The account files are edited here instead of by userdel(8), which refuses accounts that are in use and leaves
sudoers drop-ins and most spools behind.
"""

import fcntl
import re
from typing import Callable, Iterator, List, Sequence, Set

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Account, Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Hit, Lines, Place, Remove

Names = Callable[[Guest], Sequence[str]]

# The account's own line in /etc/passwd goes last: what names its home must survive an interruption.
_FILES = ("/etc/subuid", "/etc/subgid", "/etc/gshadow", "/etc/group", "/etc/shadow", "/etc/passwd")
_CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron")
_SPOOLS = (
    "/var/mail",
    "/var/spool/mail",
    "/var/lib/systemd/linger",
    "/var/lib/AccountsService/users",
    "/var/lib/AccountsService/icons",
)


class Accounts(Place):
    """Accounts by name.

    :param names: which accounts of a guest are meant; "root" is never touched
    """

    what = "removed with home, mail, crontabs, sudo rules, groups of their own and subordinate ids"
    patterns = ("/home", *_SPOOLS, *_CRONTABS, "/etc/sudoers", "/etc/sudoers.d", *_FILES[::-1])

    def __init__(self, names: Names) -> None:
        self._names = names

    def find(self, guest: Guest) -> Iterator[Hit]:
        names = [name for name in self._names(guest) if name != "root"]
        if not names:
            return
        seen = set()
        for place in self._places(names, guest):
            for hit in place.find(guest):
                if hit.path not in seen:
                    seen.add(hit.path)
                    yield hit

    def clean(self, guest: Guest, hit: Hit) -> None:
        names = [name for name in self._names(guest) if name != "root"]
        with open(guest.tree.on_host("/etc/.pwd.lock"), "a", encoding="ascii") as lock:
            # The lock that useradd, passwd and others take: lckpwdf(3).
            fcntl.lockf(lock, fcntl.LOCK_EX)
            for place in self._places(names, guest):
                for found in place.find(guest):
                    if found.path == hit.path:
                        place.clean(guest, found)

    def _places(self, names: Sequence[str], guest: Guest) -> Iterator[Place]:
        homes = ["/home/" + name for name in names]
        for account in guest.passwd():
            if account.name in names and _owns_home(guest, account):
                homes.append(account.home)
        yield Remove(*homes)
        yield Remove(*[spool + "/" + name for spool in _SPOOLS for name in names])
        # An account may have the name of a directory in there.
        yield Remove(*[spool + "/" + name for spool in _CRONTABS for name in names], only="file")
        yield EmptiedSudoers(names)
        yield Lines("/etc/sudoers", rewrite=lambda _guest, lines: without_rules(names, lines))
        yield Lines("/etc/{cron,at}.{allow,deny}", rewrite=lambda _guest, lines: _without_names(names, lines))
        for path in _FILES:
            yield Lines(path, rewrite=_account_lines(path, names))


class EmptiedSudoers(Place):
    """Drop-ins of sudo with rules for accounts: the lines go, and the file too when nothing else is in it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find(self, guest: Guest) -> Iterator[Hit]:
        yield from Lines("/etc/sudoers.d/*", rewrite=self._rewrite).find(guest)

    def clean(self, guest: Guest, hit: Hit) -> None:
        left = self._rewrite(guest, guest.lines(hit.path))
        if any(line.strip() and not line.lstrip().startswith("#") for line in left):
            Lines(hit.path, rewrite=self._rewrite).clean(guest, hit)
        else:
            guest.tree.remove(hit.path)

    def _rewrite(self, _guest: Guest, lines: List[str]) -> List[str]:
        return without_rules(self._names, lines)


def without_rules(names: Sequence[str], lines: List[str]) -> List[str]:
    """sudoers lines without the rules and defaults of these accounts."""
    who = "|".join(re.escape(name) for name in names)
    rule = re.compile(r'^\s*(Defaults:)?"?({0})"?(\s|$)'.format(who))
    return [line for line in lines if not rule.match(line)]


def _without_names(names: Sequence[str], lines: List[str]) -> List[str]:
    return [line for line in lines if line.strip() not in names]


def lock_root(_guest: Guest, lines: List[str]) -> List[str]:
    """/etc/shadow with a root account that no password opens."""
    locked = []
    for line in lines:
        fields = line.split(":")
        if fields[0] == "root" and len(fields) > 2 and not fields[1].startswith(("*", "!")):
            fields[1] = "*"
        locked.append(":".join(fields))
    return locked


def _owns_home(guest: Guest, account: Account) -> bool:
    """Whether a home is the account's own and not, say, /srv or the directory of a service."""
    real = guest.root.resolve(account.home, follow=True)
    info = None if real is None else guest.root.real_stat(real)
    depth = len([part for part in account.home.split("/") if part])
    return info is not None and info.kind == "dir" and info.uid == account.uid and depth > 1


def _account_lines(path: str, names: Sequence[str]) -> Callable[[Guest, List[str]], List[str]]:
    def rewrite(guest: Guest, lines: List[str]) -> List[str]:
        if path in {"/etc/group", "/etc/gshadow"}:
            return _without_members(guest, names, lines)
        ids = tuple(str(account.uid) for account in guest.passwd() if account.name in names)
        by_id = path in {"/etc/subuid", "/etc/subgid"}
        return [
            line
            for line in lines
            if line.split(":")[0] not in names and not (by_id and line.split(":")[0] in ids)
        ]

    return rewrite


def _without_members(guest: Guest, names: Sequence[str], lines: List[str]) -> List[str]:
    dropped = _private_groups(guest, names)
    kept = []
    for line in lines:
        fields = line.split(":")
        if fields[0] in dropped:
            continue
        # The last field of both files lists members; the third of /etc/gshadow administrators.
        for index in (2, 3) if len(fields) == 4 else ():
            members = _split(fields[index])
            if any(name in names for name in members):
                fields[index] = ",".join(name for name in members if name not in names)
        kept.append(":".join(fields))
    return kept


def _private_groups(guest: Guest, names: Sequence[str]) -> Set[str]:
    """Groups with an account's name that nobody else is in."""
    others = {str(account.gid) for account in guest.passwd() if account.name not in names}
    found = set()
    for line in guest.lines("/etc/group"):
        fields = line.split(":")
        own = len(fields) == 4 and fields[0] in names and fields[2] not in others
        if own and all(member in names for member in _split(fields[3])):
            found.add(fields[0])
    return found


def _split(names: str) -> List[str]:
    return [name for name in names.split(",") if name]
