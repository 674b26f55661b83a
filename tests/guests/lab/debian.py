# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Builds real guests of Debian and Ubuntu: a raw GPT disk that boots by BIOS and by UEFI, its kernel aside.

Nothing is mounted on the host and root is not needed: mmdebstrap makes the tree (as root, or unprivileged in
a user namespace) and mke2fs fills the file system from inside of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shlex
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.guests.lab import bootloader, disk_layout, guest_configuration, suites
from tests.guests.lab.cache import cached, code_digest
from tests.guests.lab.machine import DirectBoot
from tests.guests.lab.programs import run_program
from tests.guests.lab.suites import mirror, mmdebstrap_command, suite_facts

_PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "libpam-systemd", "openssh-server", "sudo", "python3", "python3-apt"),
    *("cloud-init", "cloud-guest-utils", "initramfs-tools", "lz4", "grub2-common", "fdisk", "e2fsprogs"),
    *("netplan.io", "systemd-resolved", "iproute2", "procps", "ca-certificates"),
)
# Documentation and the hardware database's sources: many blocks, and nothing a guest does needs them.
_EXCLUDED = (
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/lib/udev/hwdb.d/*",
    "/usr/lib/udev/hwdb.d/*",
)
_AGENT_KEY_TYPE = "Provisioning.SshHostKeyPairType"
_BUILD_SECONDS = 1200
_CODE = code_digest(
    __file__, bootloader.__file__, disk_layout.__file__, guest_configuration.__file__, suites.__file__
)


class Account(NamedTuple):
    """An account of the image itself, with sudo for everything and no password."""

    name: str
    ssh_public_keys: tuple[str, ...] = ()


class PlantedFile(NamedTuple):
    """A file put into the image; missing directories above it are made."""

    path: str
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


def build_debian(
    cache_dir: Path,
    suite: str = "bookworm",
    *,
    packages: Sequence[str] = (),
    accounts: Sequence[Account] = (),
    files: Sequence[PlantedFile] = (),
    size_mib: int = 2048,
) -> Path:
    """The raw disk of a guest, built when no build of this very recipe is in `cache_dir`.

    The disk is shared: start machines from an overlay or a copy. Environment: GUEST_MIRROR (a mirror's
    address or one sources.list line) and GUEST_KEYRING (a keyring file) replace what mmdebstrap takes for the
    suite.

    Raises ProgramError with mmdebstrap's own words when the build fails; nothing is left behind then.
    """
    recipe = _Recipe(suite, tuple(packages), tuple(accounts), tuple(files), size_mib, tuple(mirror()))

    def build(work: Path) -> None:
        _Build(cache_dir, work, recipe).run()

    target = cached(cache_dir, f"{suite}-{recipe.digest()}", build)
    return target / "disk.raw"


def direct_boot(disk: Path) -> DirectBoot:
    """The kernel, initramfs and command line of a disk made by `build_debian`."""
    folder = disk.parent
    return DirectBoot(folder / "vmlinuz", folder / "initrd", (folder / "command-line").read_text())


class _Recipe(NamedTuple):
    suite: str
    packages: tuple[str, ...]
    accounts: tuple[Account, ...]
    files: tuple[PlantedFile, ...]
    size_mib: int
    mirror: tuple[str, ...]

    def digest(self) -> str:
        return hashlib.sha256((repr(tuple(self)) + _CODE).encode()).hexdigest()[:16]


class _Build:
    def __init__(self, cache_dir: Path, work: Path, recipe: _Recipe) -> None:
        self.cache_dir = cache_dir
        self.work = work
        self.recipe = recipe
        self.layout = disk_layout.bootable_layout(recipe.size_mib)
        self.root_uuid = str(uuid.uuid4())

    def run(self) -> None:
        disk = self.work / "disk.raw"
        layout = self.layout
        disk_layout.write_partitions(disk, layout.size, [layout.bios, layout.esp, layout.root])
        _write_tar(self.work / "planted.tar", self._planted())
        with self._outputs("disk.raw", "vmlinuz", "initrd") as outputs:
            command = [*self._mmdebstrap(), *self._hooks(*outputs), self.recipe.suite, "/dev/null"]
            command += self.recipe.mirror
            # Descriptors go through: a build in a user namespace could not reach the files by their paths.
            run_program(command, pass_descriptors=outputs, timeout=_BUILD_SECONDS)
        (self.work / "command-line").write_text(guest_configuration.root_argument(self.root_uuid))
        bootloader.install_bootloader(disk, layout, self.root_uuid)
        (self.work / "planted.tar").unlink()

    def _mmdebstrap(self) -> list[str]:
        suite = self.recipe.suite
        facts = suite_facts(suite)
        packages = [*_PACKAGES, facts.agent, facts.kernel, *self.recipe.packages]
        command = mmdebstrap_command(self.cache_dir, suite, packages, _EXCLUDED)
        return [*command, "--format=null", "--dpkgopt=path-include=/usr/share/doc/*/copyright"]

    def _hooks(self, disk: int, kernel: int, initrd: int) -> list[str]:
        planted = shlex.quote(str(self.work / "planted.tar"))
        fill = disk_layout.make_ext4_command(
            f"/proc/self/fd/{disk}", self.layout.root, "root", self.root_uuid, '"$tree"'
        )
        script = [
            "set -eu",
            *(self._add_account(account) for account in self.recipe.accounts),
            # What mmdebstrap would clean up only after this hook, and what a machine makes for itself.
            'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/lib/dbus/machine-id',
            'rm -f "$1"/etc/ssh/ssh_host_* "$1"/var/log/*.log "$1"/var/log/apt/*',
            'rm -f "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old "$1"/etc/resolv.conf',
            'ln -s ../run/systemd/resolve/stub-resolv.conf "$1"/etc/resolv.conf',
            ': > "$1"/etc/machine-id',
            'chroot "$1" systemctl --quiet enable systemd-networkd systemd-resolved',
            # The agent waits for a host key of this type, and the image has cloud-init make no RSA key.
            f'sed -i "s/^{_AGENT_KEY_TYPE}=.*/{_AGENT_KEY_TYPE}=ed25519/" "$1"/etc/waagent.conf',
            # apt's timers would take its lock whenever a thawed guest notices how late it is.
            'chroot "$1" systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer',
            # Online checks of LVM volumes, which this disk has none of.
            'chroot "$1" systemctl --quiet disable e2scrub_all.timer e2scrub_reap.service',
            # The loader is this machine's GRUB. One before 2.12 takes "fwsetup --is-supported" for "fwsetup".
            'for part in 25_bli 30_uefi-firmware; do rm -f "$1/etc/grub.d/$part"; done',
            f'cat "$1"/boot/vmlinuz-* > /proc/self/fd/{kernel}',
            f'cat "$1"/boot/initrd.img-* > /proc/self/fd/{initrd}',
            # A plain bind mount leaves out /proc and the like, which are mounted in the tree just now.
            'tree=$(mktemp -d); mount --bind "$1" "$tree"',
            " ".join(fill),
            'umount "$tree"; rmdir "$tree"',
        ]
        early = 'mkdir -p "$1/etc/initramfs-tools/conf.d"; '
        early += 'echo COMPRESS=lz4 > "$1/etc/initramfs-tools/conf.d/compression"'
        hooks = [early, f"tar-in {planted} /", "\n".join(script)]
        return [f"--essential-hook={hooks[0]}", *(f"--customize-hook={hook}" for hook in hooks[1:])]

    def _add_account(self, account: Account) -> str:
        name = shlex.quote(account.name)
        keys = shlex.quote("\n".join(account.ssh_public_keys))
        home = f'"$1"/home/{name}'
        return (
            f'chroot "$1" useradd --create-home --shell /bin/bash --groups sudo {name}\n'
            f"mkdir -m 700 {home}/.ssh; printf '%s\\n' {keys} > {home}/.ssh/authorized_keys\n"
            f'chmod 600 {home}/.ssh/authorized_keys; chroot "$1" chown -R {name}: /home/{name}/.ssh\n'
            f"printf '%s ALL=(ALL) NOPASSWD:ALL\\n' {name} > \"$1\"/etc/sudoers.d/{name}\n"
            f'chmod 440 "$1"/etc/sudoers.d/{name}'
        )

    def _planted(self) -> Iterator[PlantedFile]:
        title = suite_facts(self.recipe.suite).title
        for path, content in guest_configuration.configuration_files(self.root_uuid, title).items():
            yield PlantedFile(path, content.encode())
        for path, source in bootloader.module_files():
            yield PlantedFile(path, source.read_bytes())
        yield from self.recipe.files

    @contextmanager
    def _outputs(self, *names: str) -> Iterator[list[int]]:
        descriptors = []
        try:
            for name in names:
                low = os.open(self.work / name, os.O_RDWR | os.O_CREAT, 0o600)
                # mmdebstrap has a shell use descriptors of its own, and dash knows only those of one digit.
                descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 50)
                os.close(low)
                descriptors.append(descriptor)
                # Root in a user namespace is somebody else outside; the directory above keeps others away.
                os.fchmod(descriptor, 0o666)
            yield descriptors
        finally:
            for descriptor in descriptors:
                os.fchmod(descriptor, 0o644)
                os.close(descriptor)


def _write_tar(path: Path, files: Iterator[PlantedFile]) -> None:
    with tarfile.open(path, "w") as archive:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode, entry.uid, entry.gid = len(file.content), file.mode, file.uid, file.gid
            archive.addfile(entry, io.BytesIO(file.content))
