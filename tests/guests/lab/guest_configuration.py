# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What stands in a guest's own configuration files: settings that images in the field have too."""

from __future__ import annotations

import json

from tests.guests.lab.bootloader import default_grub

KERNEL_COMMAND_LINE = "console=ttyS0,115200 net.ifnames=0 mitigations=off"


def configuration_files(root_uuid: str, title: str) -> dict[str, str]:
    """Path to content of what every guest gets; `title` is what the boot menu calls its system."""
    return {
        "/etc/fstab": f"UUID={root_uuid} / ext4 rw,discard,errors=remount-ro 0 1\n",
        "/etc/hostname": "debian\n",
        "/etc/hosts": "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost ip6-loopback\n",
        "/boot/grub/grub.cfg": _grub_configuration(root_uuid, title),
        "/etc/default/grub": default_grub(KERNEL_COMMAND_LINE),
        "/etc/initramfs-tools/conf.d/compression": "COMPRESS=lz4\n",
        # Azure for the field; NoCloud for guests seeded by a volume; None for the rest.
        "/etc/cloud/cloud.cfg.d/95_datasources.cfg": "datasource_list: [NoCloud, Azure, None]\n",
        "/etc/cloud/cloud.cfg.d/95_image.cfg": _cloud_settings(),
    }


def _grub_configuration(root_uuid: str, title: str) -> str:
    # Until update-grub in the guest replaces it; the links are kept by the kernel's package, here or there.
    return (
        "set timeout=0\n"
        "serial --unit=0 --speed=115200\n"
        "terminal_output serial\n"
        f"search --no-floppy --fs-uuid --set=root {root_uuid}\n"
        "if [ -e /vmlinuz ]; then set links=/; else set links=/boot/; fi\n"
        f"menuentry '{title}' {{\n"
        f"  linux ${{links}}vmlinuz {root_argument(root_uuid)}\n"
        "  initrd ${links}initrd.img\n"
        "}\n"
    )


def root_argument(root_uuid: str) -> str:
    """The kernel's command line."""
    return f"root=UUID={root_uuid} ro {KERNEL_COMMAND_LINE}"


def _cloud_settings() -> str:
    settings = {
        # Ubuntu's cloud-init would install what generates locales, and the sources are the ones of the build.
        "locale": False,
        "apt_preserve_sources_list": True,
        "ssh_genkeytypes": ["ed25519", "ecdsa"],
        # There is no grub-pc package whose debconf answers would want an update.
        "grub_dpkg": {"enabled": False},
    }
    return "#cloud-config\n" + json.dumps(settings) + "\n"
