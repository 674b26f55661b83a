# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Drivers in every initramfs of a machine, put there by the tool it has and seen there afterwards."""

import os
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.initramfs import (
    InitramfsError,
    initramfs_names,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.programs import Programs
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    FileChange,
    change_of,
    make_changes,
    text_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.denied_drivers import (
    allowed_after,
    plan_allowed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.kernels import (
    Kernel,
    installed_kernels,
    module_name,
)

_WHY = "# Without these drivers the machine cannot boot on Azure."
_BUILD_SECONDS = 1800.0


class KernelDrivers(NamedTuple):
    """Where drivers of a kernel are: "built-in", "included" in its initramfs, "missing", or "unavailable"."""

    kernel: Kernel
    drivers: Dict[str, str]

    def named(self, state: str) -> List[str]:
        """The drivers in a state."""
        return [name for name, where in self.drivers.items() if where == state]


class Plan(NamedTuple):
    """What is to be done: settings to change, and kernels whose initramfs is to be made anew."""

    changes: List[FileChange]
    kernels: List[KernelDrivers]
    rebuild: List[Kernel]
    warnings: List[str]


class _Tool:
    """What makes initial file systems."""

    lister = ""

    def __init__(self, root: LiveRoot, programs: Programs) -> None:
        self.root = root
        self.programs = programs

    def settings(self, drivers: Sequence[str]) -> List[FileChange]:
        """The changes of its settings that have these drivers included, now and for later kernels."""
        raise NotImplementedError

    def build(self, kernel: Kernel, drivers: Set[str]) -> None:
        """Make the initramfs of a kernel anew; GuestError when it lacks one of the drivers."""
        raise NotImplementedError

    def modules(self, path: str) -> Set[str]:
        """The modules in an initramfs.

        The tool's own program is asked only where the file cannot be read here: that of Ubuntu 24.04 starts
        some ten thousand programs for one listing.
        """
        try:
            lines = initramfs_names(self.root, path)
        except InitramfsError as error:
            lines = self._listed(path, error)
        names = [module_name(line.strip()) for line in lines]
        return {name for name in names if name is not None}

    def _listed(self, path: str, why: InitramfsError) -> List[str]:
        lister = self.programs.find(self.lister)
        if lister is None:
            raise GuestError("{0} {1}, and {2} is not installed".format(path, why, self.lister))
        return self.programs.run([lister, path]).splitlines()

    def check(self, path: str, drivers: Set[str]) -> None:
        """Raise GuestError when an initramfs lacks one of the drivers."""
        missing = sorted(drivers - self.modules(path))
        if missing:
            raise GuestError(
                "{0} was made and lacks {1}; look for settings that leave drivers out".format(
                    path, ", ".join(missing)
                )
            )


class _InitramfsTools(_Tool):
    """initramfs-tools of Debian and Ubuntu; update-initramfs keeps the old file until a new one is whole."""

    lister = "lsinitramfs"
    _settings = "/etc/initramfs-tools/modules"

    def settings(self, drivers: Sequence[str]) -> List[FileChange]:
        text = text_of(self.root, self._settings) or ""
        there = {line.split()[0] for line in text.splitlines() if line.strip()}
        new = [name for name in drivers if name not in there]
        if not new:
            return []
        lines = ([] if _WHY in text else [_WHY]) + new
        start = text if not text or text.endswith("\n") else text + "\n"
        return change_of(self.root, self._settings, start + "".join(line + "\n" for line in lines))

    def build(self, kernel: Kernel, drivers: Set[str]) -> None:
        update = self.programs.find("update-initramfs") or "update-initramfs"
        mode = "-c" if kernel.initramfs is None else "-u"
        self.programs.run([update, mode, "-k", kernel.version], timeout=_BUILD_SECONDS)
        self.check(kernel.initramfs or "/boot/initrd.img-" + kernel.version, drivers)


class _Dracut(_Tool):
    """dracut of all others. The new file is made beside the old one and looked into before it replaces it."""

    lister = "lsinitrd"
    _settings = "/etc/dracut.conf.d/50-goldenimage.conf"

    def settings(self, drivers: Sequence[str]) -> List[FileChange]:
        text = '{0}\nadd_drivers+=" {1} "\n'.format(_WHY, " ".join(drivers))
        return change_of(self.root, self._settings, text) if drivers else []

    def build(self, kernel: Kernel, drivers: Set[str]) -> None:
        path = kernel.initramfs or "/boot/initramfs-{0}.img".format(kernel.version)
        # On the same file system, so that it takes the old one's place in one step.
        new = "{0}/.goldenimage-{1}".format(*path.rpartition("/")[::2])
        dracut = self.programs.find("dracut") or "dracut"
        try:
            self.programs.run([dracut, "--force", new, kernel.version], timeout=_BUILD_SECONDS)
            self.check(new, drivers)
            target = self.root.on_host(path)
            with open(self.root.on_host(new), "rb") as file:
                os.fsync(file.fileno())
            os.rename(self.root.on_host(new), target)
        finally:
            self.root.remove(new)


class Drivers:
    """Drivers of one machine.

    :param required: drivers without which it cannot boot
    :param wanted: drivers that kernels may lack
    :param rebuild: make every initramfs anew, as something else that is in them has changed
    """

    def __init__(
        self,
        root: LiveRoot,
        programs: Programs,
        required: Sequence[str],
        wanted: Sequence[str] = (),
        rebuild: bool = False,
    ) -> None:
        self._root = root
        self._required = [_name(driver) for driver in required]
        self._all = self._required + [
            _name(driver) for driver in wanted if _name(driver) not in self._required
        ]
        self._rebuild = rebuild
        self._tool = _tool_of(root, programs)

    def plan(self) -> Plan:
        """What has to be done. Raises GuestError when no kernel could boot on Azure, whatever is done."""
        kernels = [self._look(kernel) for kernel in installed_kernels(self._root)]
        if not kernels:
            raise GuestError(
                "no kernel with its modules is installed, so this machine cannot boot; install the "
                "distribution's kernel. Nothing was changed"
            )
        warnings = list(self._complaints(kernels))
        allowed = plan_allowed(self._root, self._all)
        states = [
            state for state in kernels if state.named("missing") or self._is_stale(state, bool(allowed))
        ]
        if self._tool is None:
            if states:
                raise GuestError(
                    "neither initramfs-tools nor dracut is installed, and kernel {0} has {1} as modules; "
                    "install one of the two. Nothing was changed".format(
                        states[-1].kernel.version, ", ".join(states[-1].named("missing"))
                    )
                )
            return Plan(allowed, kernels, [], warnings)
        _refuse_named_by_content(states)
        available = {name for state in kernels for name in state.kernel.modules}
        changes = self._tool.settings([name for name in self._all if name in available])
        return Plan(allowed + changes, kernels, [state.kernel for state in states], warnings)

    def carry_out(self, plan: Plan) -> List[KernelDrivers]:
        """Do it, one kernel after another, the oldest first; where the drivers are afterwards."""
        make_changes(self._root, plan.changes)
        for kernel in plan.rebuild:
            if self._tool is not None:
                self._tool.build(kernel, {name for name in self._all if _is_module(kernel, name)})
        return [self._look(kernel) for kernel in installed_kernels(self._root)]

    def _is_stale(self, state: KernelDrivers, rules_change: bool) -> bool:
        path = state.kernel.initramfs
        if path is None or self._tool is None:
            return False
        return self._rebuild or rules_change or allowed_after(self._root, path)

    def _look(self, kernel: Kernel) -> KernelDrivers:
        included: Set[str] = set()
        if kernel.initramfs is not None and self._tool is not None:
            included = self._tool.modules(kernel.initramfs)
        where = {}
        for name in self._all:
            if name in kernel.built_in:
                where[name] = "built-in"
            elif name not in kernel.modules:
                where[name] = "unavailable"
            else:
                where[name] = "included" if name in included else "missing"
        return KernelDrivers(kernel, where)

    def _complaints(self, kernels: Sequence[KernelDrivers]) -> Iterator[str]:
        for state in kernels:
            lacking = [name for name in state.named("unavailable") if name in self._required]
            if not lacking:
                continue
            told = "kernel {0} has no {1} and cannot boot on Azure".format(
                state.kernel.version, ", ".join(lacking)
            )
            if state is kernels[-1]:
                raise GuestError(told + "; install a kernel for servers or for Azure. Nothing was changed")
            yield told + "; remove it, so that nobody boots it by mistake"


def _refuse_named_by_content(states: Sequence[KernelDrivers]) -> None:
    for state in states:
        if state.kernel.is_named_by_content:
            raise GuestError(
                "{0} lacks {1} or is out of date, and its name and boot entry are made from its content by "
                'sdbootutil. Write the line add_drivers+=" {2} " into a file in /etc/dracut.conf.d, have '
                "sdbootutil make it with 'sdbootutil --no-reuse-initrd add-all-kernels', and run this again. "
                "Nothing was changed".format(
                    state.kernel.initramfs,
                    ", ".join(state.named("missing")) or "nothing",
                    " ".join(sorted(name for name in state.drivers if _is_module(state.kernel, name))),
                )
            )


def _tool_of(root: LiveRoot, programs: Programs) -> Optional[_Tool]:
    # dracut's package for Debian brings an update-initramfs of its own.
    if programs.find("update-initramfs") and programs.find("mkinitramfs"):
        return _InitramfsTools(root, programs)
    return _Dracut(root, programs) if programs.find("dracut") else None


def _is_module(kernel: Kernel, name: str) -> bool:
    return name in kernel.modules and name not in kernel.built_in


def _name(driver: str) -> str:
    if not driver.replace("-", "_").replace("_", "a").isalnum():
        raise GuestError("{0!r} is no name of a driver".format(driver))
    return driver.replace("-", "_")
