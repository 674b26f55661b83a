# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""get_collection NAMESPACE.NAME FOLDER: a collection of the `ansible` package, put below FOLDER.

The package can be had where the collections' own server cannot.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# Its release says which release of the collection: ansible.windows 3.8.0, as of which the tests were written.
_PACKAGE = "ansible==14.5.0"


def main(collection: str, folder: Path) -> None:
    """Fetch the package and unpack the collection; another release of it that is there is overwritten."""
    prefix = f"ansible_collections/{collection.replace('.', '/')}/"
    with tempfile.TemporaryDirectory() as scratch:
        fetch = ("--no-deps", "--ignore-requires-python", "--dest", scratch, _PACKAGE)
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *fetch],
            check=True,
        )
        (wheel,) = Path(scratch).glob("ansible-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.startswith(prefix)]
            if not members:
                raise SystemExit(f"{_PACKAGE} has no collection {collection}.")
            archive.extractall(folder, members)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
