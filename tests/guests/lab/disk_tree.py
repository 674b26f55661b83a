# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Root trees on a disk of their own, so that GRUB's programs find the device that the root is on.

As with root_tree, no system runs in them, and every command mounts what it needs in a mount namespace of its
own: the loop devices let go of the disk when the command has ended. Needs root.
"""

from __future__ import annotations

from pathlib import Path

from tests.guests.lab.programs import run_program
from tests.guests.lab.root_tree import RootTree

# GRUB's scripts take no root on a loop device with a number of one digit.
_FIRST_LOOP, _LAST_LOOP = 40, 63
_ENTER = """\
#!/bin/sh
# Runs a command in the tree.
exec unshare --mount --propagation private /bin/sh -c '
set -e
number={first}
root=
while [ -z "$root" ] && [ "$number" -le {last} ]; do
  loop=/dev/loop$number
  [ -e "$loop" ] || mknod "$loop" b 7 "$number" || true
  if losetup --offset {root_offset} "$loop" {disk} 2> /dev/null; then root=$loop; fi
  number=$((number + 1))
done
if [ -z "$root" ]; then
  echo "no loop device is free" >&2
  exit 1
fi
mounted=
mount "$root" {top} && mounted=yes
# Let go of when nothing is mounted from it any more, or at once if nothing was.
losetup --detach "$root"
[ -n "$mounted" ]
mount -t proc proc {top}/proc
mount -t sysfs -o ro sysfs {top}/sys
mount -t tmpfs -o mode=755 tmpfs {top}/dev
mkdir -p {top}/dev/shm {top}/dev/disk/by-uuid
ln -s /proc/self/fd {top}/dev/fd
for device in null zero full random urandom tty; do
  touch {top}/dev/$device
  mount --bind /dev/$device {top}/dev/$device
done
mknod {top}$root b 7 "${{root#/dev/loop}}"
ln -s ../../"${{root#/dev/}}" {top}/dev/disk/by-uuid/"$(blkid -p -s UUID -o value "$root")"
ln -s "${{root#/dev/}}" {top}/dev/sda1
if [ -n "{esp}" ]; then
  mkdir -p {top}/boot/efi
  mount --bind "{esp}" {top}/boot/efi
fi
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \\
  DEBIAN_FRONTEND=noninteractive chroot {top} "$@"
' enter "$@"
"""


def open_disk(disk: Path, work_dir: Path, *, root_offset: int = 0, esp: Path | None = None) -> RootTree:
    """A view of the tree on a raw disk, which is changed. /dev/sda1 is another name of the root's device.

    :param root_offset: where its ext4 file system begins, in bytes
    :param esp: a directory that is seen at /boot/efi; not every kernel of a host mounts FAT
    """
    top = work_dir / "top"
    top.mkdir(parents=True)
    enter = work_dir / "enter"
    enter.write_text(
        _ENTER.format(
            first=_FIRST_LOOP,
            last=_LAST_LOOP,
            disk=disk,
            top=top,
            root_offset=root_offset,
            esp=esp or "",
        )
    )
    enter.chmod(0o755)
    line = f"guest ansible_connection=root_tree ansible_host={enter} ansible_user=root"
    return RootTree(enter, disk, f"{line} ansible_python_interpreter=/usr/bin/python3")


def make_disk(tree: Path, disk: Path, size_mib: int = 3072) -> Path:
    """A raw disk that is one ext4 file system with what is in a directory."""
    run_program(["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(tree), str(disk), f"{size_mib}M"])
    return disk


def copy_disk(source: Path, target: Path) -> Path:
    """A sparse copy of a disk."""
    run_program(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)])
    return target
