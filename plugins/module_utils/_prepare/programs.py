# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Programs of the host, found in the usual places only and run without a terminal."""

import os
import shutil
import subprocess
from typing import Optional, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
_LAST_LINES = 5


class Programs:
    """What of programs the preparation needs; tests put another one in its place."""

    def find(self, name: str) -> Optional[str]:
        """The path of a program; None when it is not installed."""
        return shutil.which(name, path=_PATH)

    def run(self, arguments: Sequence[str], timeout: float = 900.0) -> str:
        """What a program printed.

        Raises GuestError with its exit status and the end of its complaints when it fails, or takes longer
        than `timeout` seconds.
        """
        environment = dict(os.environ, PATH=_PATH, LC_ALL="C", LANGUAGE="C")
        try:
            done = subprocess.run(
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=timeout,
                check=False,
                env=environment,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GuestError("{0} did not run: {1}".format(arguments[0], error)) from None
        out = done.stdout.decode("utf-8", "surrogateescape")
        if done.returncode:
            told = done.stderr.decode("utf-8", "replace").strip() or out.strip() or "it gave no reason"
            raise GuestError(
                "{0} failed with exit status {1}: {2}".format(
                    " ".join(arguments), done.returncode, " | ".join(told.splitlines()[-_LAST_LINES:])
                )
            )
        return out


def check_root(what: str) -> None:
    """Refuse users who may not change the host; `what` is the work, as a subject."""
    if os.geteuid() != 0:
        raise GuestError(
            "{0} needs root, but this runs as user id {1}; use become".format(what, os.geteuid())
        )
