# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Root trees in which no system runs, but all package tools do: roles work on them in seconds.

A tree is built once by mmdebstrap; each test changes a layer of its own above it. Every command mounts what
it needs in a mount namespace of its own, so that nothing stays mounted, whatever ends the test. Needs root.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.guests.lab import suites
from tests.guests.lab.cache import cached, code_digest
from tests.guests.lab.programs import run_program
from tests.guests.lab.suites import mirror, mmdebstrap_command

CONNECTIONS = Path(__file__).parent / "connections"

_EXCLUDED = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/doc/*", "/usr/share/locale/*")
_BUILD_SECONDS = 1200
_CODE = code_digest(__file__, suites.__file__)
# Of devices a tree sees only those without hardware: what looks for disks must not find the host's.
_ENTER = """\
#!/bin/sh
# Runs a command in the tree.
exec unshare --mount --propagation private /bin/sh -c '
set -e
mount -t overlay overlay -o lowerdir={base},upperdir={layer},workdir={work} {top}
mount -t proc proc {top}/proc
mount -t sysfs -o ro sysfs {top}/sys
mount -t tmpfs -o mode=755 tmpfs {top}/dev
for device in null zero full random urandom tty; do
  touch {top}/dev/$device
  mount --bind /dev/$device {top}/dev/$device
done
ln -s /proc/self/fd {top}/dev/fd
mkdir {top}/dev/shm
cp --dereference --remove-destination /etc/resolv.conf {top}/etc/resolv.conf 2> /dev/null || true
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \\
  DEBIAN_FRONTEND=noninteractive chroot {top} "$@"
' enter "$@"
"""


class TreeRecipe(NamedTuple):
    """What is in a tree.

    :param packages: installed
    :param fetched: packages that are there to be installed without a mirror
    :param script: shell commands that finish the tree, which is their $1
    """

    suite: str
    packages: tuple[str, ...] = ()
    fetched: tuple[str, ...] = ()
    script: str = ""


class RootTree(NamedTuple):
    """One test's view of a tree. `top` is empty outside of `enter`; `layer` holds what the test changed."""

    enter: Path
    layer: Path
    inventory_line: str

    def run(self, command: str) -> str:
        """What a shell command in the tree printed. Raises ProgramError when it fails."""
        return run_program([str(self.enter), "/bin/sh", "-c", command])

    def read(self, path: str) -> str:
        """The content of a file."""
        return self.run(f"cat {shlex.quote(path)}")

    def write(self, path: str, text: str) -> None:
        """Put a file into the tree."""
        quoted = shlex.quote(path)
        command = f'mkdir -p "$(dirname {quoted})" && cat > {quoted}'
        run_program([str(self.enter), "/bin/sh", "-c", command], stdin=text)


def build_tree(cache_dir: Path, recipe: TreeRecipe) -> Path:
    """The directory of a tree, built when no build of this very recipe is in `cache_dir`.

    It is shared: only look at it. Environment: GUEST_MIRROR and GUEST_KEYRING as for `build_debian`.
    """
    digest = hashlib.sha256((repr((tuple(recipe), mirror())) + _CODE).encode()).hexdigest()[:16]
    built = cached(cache_dir, f"tree-{recipe.suite}-{digest}", lambda work: _build(cache_dir, work, recipe))
    return built / "tree"


def open_tree(base: Path, work_dir: Path) -> RootTree:
    """A view of a tree for one test; what is changed goes to `work_dir`, which must not be on an overlay."""
    places = {name: work_dir / name for name in ("layer", "work", "top")}
    for place in places.values():
        place.mkdir(parents=True)
    enter = work_dir / "enter"
    enter.write_text(_ENTER.format(base=base, **places))
    enter.chmod(0o755)
    line = f"guest ansible_connection=root_tree ansible_host={enter} ansible_user=root"
    return RootTree(enter, places["layer"], f"{line} ansible_python_interpreter=/usr/bin/python3")


def _build(cache_dir: Path, work: Path, recipe: TreeRecipe) -> None:
    command = mmdebstrap_command(cache_dir, recipe.suite, recipe.packages, _EXCLUDED)
    command += ["--format=directory", "--skip=cleanup/apt/lists,cleanup/apt/cache"]
    command += [f"--customize-hook={hook}" for hook in _hooks(recipe)]
    run_program([*command, recipe.suite, str(work / "tree"), *mirror()], timeout=_BUILD_SECONDS)


def _hooks(recipe: TreeRecipe) -> Sequence[str]:
    # No service of the tree may be started: it would run on the host.
    policy = (
        'printf \'#!/bin/sh\\nexit 101\\n\' > "$1"/usr/sbin/policy-rc.d; chmod 755 "$1"/usr/sbin/policy-rc.d'
    )
    hooks = [policy, recipe.script]
    if recipe.fetched:
        names = " ".join(recipe.fetched)
        hooks.append(f'chroot "$1" apt-get install --yes --download-only {names}')
    return [hook for hook in hooks if hook]
