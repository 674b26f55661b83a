# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Files of KEY=value lines: waagent.conf, and those in /etc/sysconfig and /etc/default."""

import re
from typing import Dict, List, Mapping, Sequence

_SETTING = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_.]*)\s*=(.*)$")
_COMMENTED = re.compile(r"^\s*#+\s*([A-Za-z_][A-Za-z0-9_.]*)\s*=")


def read_settings(lines: Sequence[str]) -> Dict[str, str]:
    """The values by key, without quotes and comments; of a key given twice the last."""
    values = {}
    for line in lines:
        found = _SETTING.match(line)
        if found is not None:
            values[found.group(1)] = found.group(2).partition("#")[0].strip().strip("\"'")
    return values


def with_settings(lines: Sequence[str], wanted: Mapping[str, str], quote: str = "") -> List[str]:
    """The lines with every key of `wanted` given exactly once, with its value.

    A line that gives the key is changed where it stands; failing that the new line follows the comment that
    shows its default, or the last line.
    """
    active: Dict[str, int] = {}
    commented: Dict[str, int] = {}
    for number, line in enumerate(lines):
        for pattern, found_at in ((_SETTING, active), (_COMMENTED, commented)):
            found = pattern.match(line)
            if found is not None and found.group(1) in wanted:
                found_at.setdefault(found.group(1), number)
    values = read_settings(lines)
    changed: List[str] = []
    for number, line in enumerate(lines):
        found = _SETTING.match(line)
        key = found.group(1) if found is not None else ""
        if key not in wanted:
            changed.append(line)
        elif active[key] == number:
            # A line that says the same in its own way stays.
            same = values[key] == wanted[key] == read_settings([line]).get(key)
            changed.append(line if same else _line(key, wanted, quote))
        changed.extend(
            _line(name, wanted, quote)
            for name, place in commented.items()
            if place == number and name not in active
        )
    changed.extend(_line(key, wanted, quote) for key in wanted if key not in active and key not in commented)
    return changed


def joined(lines: Sequence[str]) -> str:
    """The text of a file with these lines."""
    return "".join(line + "\n" for line in lines)


def _line(key: str, wanted: Mapping[str, str], quote: str) -> str:
    return "{0}={1}{2}{1}".format(key, quote, wanted[key])
