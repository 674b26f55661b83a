# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Ansible's connection into a root tree that no system runs in."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: root_tree
short_description: Run in a root tree
description: Runs commands through a program that changes into a root tree.
author: The goldenimage.azure authors
options:
  enter:
    description: The program; it runs its arguments in the tree.
    vars:
      - name: ansible_host
"""


class Connection(ConnectionBase):
    """Commands run as root, and files go through standard input and output."""

    transport = "root_tree"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        del sudoable  # whoever enters a tree is root
        return self._run(cmd, in_data or b"")

    def put_file(self, in_path: str, out_path: str) -> None:
        self._must(f"cat > {shlex.quote(out_path)}", Path(in_path).read_bytes())

    def fetch_file(self, in_path: str, out_path: str) -> None:
        Path(out_path).write_bytes(self._must(f"cat {shlex.quote(in_path)}", b""))

    def close(self) -> None:
        self._connected = False

    def _must(self, command: str, data: bytes) -> bytes:
        status, out, complaints = self._run(command, data)
        if status:
            raise AnsibleError(f"{command}: {complaints.decode(errors='replace')}")
        return out

    def _run(self, command: str, data: bytes) -> tuple[int, bytes, bytes]:
        # The option is typed nowhere.
        options: Any = self
        enter = str(options.get_option("enter"))
        done = subprocess.run([enter, "/bin/sh", "-c", command], input=data, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr
