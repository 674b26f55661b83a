# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Install pip into the running Python from the wheel that lies next to this file.

Stands in for the bootstrap script that ansible-test would download; takes the same arguments:
what to install, plus pip's own options.
"""

import re
import runpy
import sys
from pathlib import Path

version = re.sub(r"^get_pip_", "", Path(__file__).stem).replace("_", ".")
wheel = Path(__file__).with_name(f"pip-{version}-py3-none-any.whl")
arguments = [argument for argument in sys.argv[1:] if argument not in {"--no-setuptools", "--no-wheel"}]

# pip runs from within its own wheel and so can install itself.
sys.path.insert(0, str(wheel))
sys.argv = ["pip", "install", "--find-links", str(wheel.parent), *arguments]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
