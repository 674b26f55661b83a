# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a trace on a Windows machine is, and where one is looked for.

Collectors on the machine say what is there; places judge it. Each thing that is to go is a hit, named so
exactly that the removing script decides nothing. UnknownFactError: a place could not see all that it judges
by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    Node,
    UnknownFactError,
)

#: What the removing script knows how to remove.
FILE, KEY, VALUE, LOG = "file", "key", "value", "event-log"
LISTENER, CERTIFICATE, ACCOUNT, PROFILE = "listener", "certificate", "account", "profile"
KINDS = (PROFILE, ACCOUNT, FILE, KEY, VALUE, LISTENER, CERTIFICATE, LOG)

#: How Ansible reaches the machine.
HTTP, HTTPS, SSH = "http", "https", "ssh"
TRANSPORTS = (HTTP, HTTPS, SSH)


class Hit(NamedTuple):
    """`target`: a path, ``key\\name`` of a value, a log's name, ``address+transport`` of a listener, the
    thumbprint of a certificate, the SID of an account or profile. `shown` is how it is told."""

    kind: str
    target: str
    shown: str


class Session(NamedTuple):
    """What of the run matters for what may go: the accounts that the image was built with, and the
    transport."""

    accounts: tuple[str, ...] = ()
    transport: str = HTTPS


class Place(Protocol):
    """Somewhere to look."""

    @property
    def described(self) -> Iterator[tuple[str, str]]:
        """Where, and what happens there, for the documentation."""

    def find(self, facts: Facts, session: Session, /) -> Iterator[Hit]:
        """What is there. Raises UnknownFactError."""


class Trace(NamedTuple):
    """Something that still identifies the machine or a person. `id` is what users select by; `reason` says
    why an image should not have it; `severity` is ``error``, ``warning`` or ``info``; `default` is whether
    it is removed unless excluded. `kept` says why it stays in this session, "" where it may go."""

    id: str
    title: str
    reason: str
    places: tuple[Place, ...]
    severity: str = "error"
    default: bool = True
    kept: Callable[[Session], str] | None = None

    def find(self, facts: Facts, session: Session) -> Iterator[Hit]:
        """Every hit once."""
        seen = set()
        for place in self.places:
            for hit in place.find(facts, session):
                if hit not in seen:
                    seen.add(hit)
                    yield hit


class Files(NamedTuple):
    """Files and folders. ``~`` is each profile's folder, ``%NAME%`` the environment's; ``*`` and ``?``
    match within a name. A file for which `spared` answers with a reason stays."""

    patterns: tuple[str, ...]
    spared: Callable[[Facts, str], str] | None = None

    @property
    def described(self) -> Iterator[tuple[str, str]]:
        for pattern in self.patterns:
            yield pattern, "removed"

    def find(self, facts: Facts, _session: Session, /) -> Iterator[Hit]:
        found = _by_name(facts.of("files").nodes("matches"), "pattern")
        for pattern in self.patterns:
            match = _of(found, pattern, "files")
            for path in match.texts("paths"):
                if self.spared is None or not self.spared(facts, path):
                    yield Hit(FILE, path, path)
            errors = match.texts("errors")
            if errors:
                raise UnknownFactError(f"{pattern} could not be read: {errors[0]}")


class UserKeys(NamedTuple):
    """Keys of the registry in the hive of each account that is logged on."""

    keys: tuple[str, ...]

    @property
    def described(self) -> Iterator[tuple[str, str]]:
        for key in self.keys:
            yield f"HKEY_USERS\\*\\{key}", "removed where it has anything in it"

    def find(self, facts: Facts, _session: Session, /) -> Iterator[Hit]:
        found = facts.of("user_keys").nodes("found")
        for each in found:
            if each.name("key") in self.keys:
                path = each.name("path")
                yield Hit(KEY, path, path.partition("::")[2] or path)


class Values(NamedTuple):
    """Values in the registry of the machine, each as ``key\\name``."""

    names: tuple[str, ...]

    @property
    def described(self) -> Iterator[tuple[str, str]]:
        for name in self.names:
            yield name, "removed"

    def find(self, facts: Facts, _session: Session, /) -> Iterator[Hit]:
        found = _by_name(facts.of("values").nodes("readings"), "name")
        for name in self.names:
            if _of(found, name, "values").is_set("reading"):
                yield Hit(VALUE, name, name)


class EventLogs(NamedTuple):
    """Event logs that have records."""

    @property
    def described(self) -> Iterator[tuple[str, str]]:
        yield "every event log with records", "cleared"

    def find(self, facts: Facts, _session: Session, /) -> Iterator[Hit]:
        logs = facts.of("event_logs")
        if not logs.count("listed"):
            raise UnknownFactError("event_logs.listed is 0")
        for log in logs.texts("with_records"):
            yield Hit(LOG, log, log)


class Listeners(NamedTuple):
    """WinRM's listeners over HTTPS, their certificates, and those that the machine issued to itself."""

    @property
    def described(self) -> Iterator[tuple[str, str]]:
        yield "WinRM's listeners over HTTPS", "removed"
        yield "Cert:\\LocalMachine\\My: certificates of these listeners", "removed with their keys"
        yield "Cert:\\LocalMachine\\My: self-signed ones in the computer's name", "removed with their keys"

    def find(self, facts: Facts, _session: Session, /) -> Iterator[Hit]:
        winrm = facts.of("winrm")
        computer = winrm.name("computer")
        used = set()
        for listener in winrm.nodes("listeners"):
            name = listener.name("name")
            thumbprint = listener.text_reading("thumbprint")
            if name.casefold().endswith("+https"):
                used.add(_thumbprint(thumbprint or ""))
                yield Hit(LISTENER, name, f"listener {name}")
        for certificate in winrm.nodes("certificates"):
            subject, issuer = certificate.text("subject"), certificate.text("issuer")
            thumbprint = certificate.name("thumbprint")
            own = subject == issuer and _common_name(subject) == computer.casefold()
            if own or _thumbprint(thumbprint) in used:
                yield Hit(CERTIFICATE, thumbprint, f"certificate {thumbprint} of {subject or 'nobody'}")


class Accounts(NamedTuple):
    """The accounts that the run names, with their profiles."""

    @property
    def described(self) -> Iterator[tuple[str, str]]:
        yield "local accounts of windows_generalize_accounts", "removed"
        yield "their profiles", "removed"

    def find(self, facts: Facts, session: Session, /) -> Iterator[Hit]:
        if not session.accounts:
            return
        people = facts.of("people")
        wanted = {name.casefold() for name in session.accounts}
        names = {each.name("sid"): each.name("name") for each in people.nodes("accounts")}
        meant = {sid: name for sid, name in names.items() if name.casefold() in wanted}
        # Profiles first: whose they are is known only while the account is there.
        for profile in people.nodes("profiles"):
            sid, path = profile.name("sid"), profile.text("path")
            if sid in meant:
                yield Hit(PROFILE, sid, f"profile {path} of {meant[sid]}")
        for sid, name in meant.items():
            yield Hit(ACCOUNT, sid, f"account {name}")


def _by_name(nodes: list[Node], key: str) -> dict[str, Node]:
    return {node.name(key): node for node in nodes}


def _of(found: dict[str, Node], name: str, collector: str) -> Node:
    if name not in found:
        raise UnknownFactError(f"collector {collector} has not looked for {name}")
    return found[name]


def _thumbprint(text: str) -> str:
    return "".join(text.split()).casefold()


def _common_name(subject: str) -> str:
    kind, equals, name = subject.partition(",")[0].partition("=")
    return name.strip().casefold() if equals and kind.strip().casefold() == "cn" else ""
