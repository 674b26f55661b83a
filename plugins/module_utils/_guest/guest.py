# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What is known about a guest while its traces are looked for: its root, its people, its old names."""

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import Family, family_of
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError, RootView

_MAX_TEXT = 4 << 20
_FIRST_PERSON, _LAST_PERSON = 1000, 59999
_NO_LOGIN = ("nologin", "false", "sync", "")
# Homes of system accounts that are no homes; nor is what lies in /etc, where services have settings and keys.
_NO_HOMES = ("/", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr", "/dev", "/proc", "/etc", "/var", "/home")


class Account(NamedTuple):
    """A line of /etc/passwd."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


class Guest:
    """One guest.

    :param root: its files
    :param accounts: names of accounts that must not be in an image
    :param hostnames: names the guest had, to be removed from /etc/hosts
    """

    def __init__(self, root: RootView, accounts: Sequence[str] = (), hostnames: Sequence[str] = ()) -> None:
        self.root = root
        self.accounts = tuple(accounts)
        self.hostnames = tuple(hostnames)
        self._homes: Optional[List[str]] = None
        self._family: Optional[Tuple[Optional[Family]]] = None

    @property
    def tree(self) -> LiveRoot:
        """The root, to be changed; a disk file cannot be."""
        if not isinstance(self.root, LiveRoot):
            raise GuestError("a disk file can only be looked at; its traces are removed on the guest")
        return self.root

    def lines(self, path: str) -> List[str]:
        """The lines of a text file without their ends; none when it is not there."""
        return self.root.read(path, _MAX_TEXT).decode("utf-8", "surrogateescape").splitlines()

    def passwd(self) -> Iterator[Account]:
        """The local accounts."""
        for line in self.lines("/etc/passwd"):
            fields = line.split(":")
            if len(fields) == 7 and fields[2].isdigit() and fields[3].isdigit():
                yield Account(fields[0], int(fields[2]), int(fields[3]), fields[5], fields[6])

    def people(self) -> Tuple[str, ...]:
        """Accounts that look like a person's: an ordinary user id and a shell to log in with."""
        return tuple(
            account.name
            for account in self.passwd()
            if _FIRST_PERSON <= account.uid <= _LAST_PERSON
            and account.shell.rpartition("/")[2] not in _NO_LOGIN
            and account.name not in self.accounts
        )

    def homes(self) -> List[str]:
        """Every home directory: of the local accounts, of root, and what else is in /home."""
        if self._homes is None:
            named = ["/root"] + [account.home for account in self.passwd()]
            found = set()
            for path in named + self.root.glob("/home/*"):
                real = self.root.resolve(path, follow=True)
                info = None if real is None else self.root.real_stat(real)
                if real is None or real in _NO_HOMES or real.startswith("/etc/"):
                    continue
                if info is not None and info.kind == "dir":
                    found.add(real)
            self._homes = sorted(found)
        return self._homes

    def os_release(self) -> Dict[str, str]:
        """The fields of os-release(5); empty when the file is missing."""
        fields = {}
        for line in self.lines("/etc/os-release") or self.lines("/usr/lib/os-release"):
            key, equals, value = line.partition("=")
            if equals and not key.startswith("#"):
                fields[key.strip()] = value.strip().strip("\"'")
        return fields

    @property
    def family(self) -> Optional[Family]:
        """The family of its distribution; None for one that is not known. Looked up once."""
        if self._family is None:
            self._family = (family_of(self.os_release()),)
        return self._family[0]

    def has_program(self, name: str) -> bool:
        """Whether a program is installed."""
        return any(
            self.root.stat(directory + "/" + name) is not None
            for directory in ("/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin")
        )

    def cloud_init_sets_up_network(self) -> bool:
        """Whether cloud-init would write the network configuration again at the first boot."""
        if not self.has_program("cloud-init") or self.root.lstat("/etc/cloud/cloud-init.disabled"):
            return False
        for path in ["/etc/cloud/cloud.cfg"] + self.root.glob("/etc/cloud/cloud.cfg.d/*.cfg"):
            if path.endswith("/subiquity-disable-cloudinit-networking.cfg"):
                continue  # goes with the traces of the installer
            if self.disables_cloud_init_network(path):
                return False
        return True

    def disables_cloud_init_network(self, path: str) -> bool:
        """Whether a file of cloud-init's settings has it leave the network alone."""
        text = " ".join(line.partition("#")[0].strip() for line in self.lines(path))
        squeezed = text.replace(" ", "").replace('"', "").replace("'", "")
        return "network:{config:disabled" in squeezed or "network:config:disabled" in squeezed
