# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Kernel command lines as lists of words (kernel-parameters in the kernel's documentation)."""

import re
from typing import Callable, List, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

# What needs quotes in the files of one boot loader or another.
_NOT_PLAIN = re.compile(r"[\s\"'`$\\;&|<>(){}#]")


def split_words(line: str) -> List[str]:
    """The words of a command line; blanks between double quotes belong to the word."""
    words: List[str] = []
    word = ""
    quoted = escaped = False
    for letter in line:
        if letter.isspace() and not quoted and not escaped:
            if word:
                words.append(word)
            word = ""
            continue
        if letter == '"' and not escaped:
            quoted = not quoted
        escaped = letter == "\\" and not escaped
        word += letter
    return [*words, word] if word else words


def key_of(word: str) -> str:
    """The name of a parameter; the kernel takes dashes and underscores for the same."""
    return word.partition("=")[0].replace("-", "_")


class Wish:
    """How a command line should be.

    :param present: words that must be there. All words of the same name are replaced by these, in this order,
        which matters for "console": the last one is where messages of the system go.
    :param absent: words that must not be there: with "=" exactly this word, without it the parameter with
        whatever value.
    :param renamed: gives the word to use instead of one, for example with another name for the device in
        "root="; the word itself when it may stay.
    """

    def __init__(
        self, present: Sequence[str], absent: Sequence[str], renamed: Callable[[str], str] = str
    ) -> None:
        for word in tuple(present) + tuple(absent):
            if not word or _NOT_PLAIN.search(word):
                raise GuestError(
                    "{0!r} is no kernel argument that every boot loader takes; give one argument each, "
                    "without blanks, quotes and characters of the shell".format(word)
                )
        self.present = tuple(present)
        self.absent = tuple(absent)
        self._renamed = renamed
        self.keys = {key_of(word) for word in present}

    def unwanted(self, word: str) -> bool:
        """Whether a word must not be there."""
        if any(word == gone or ("=" not in gone and key_of(word) == key_of(gone)) for gone in self.absent):
            return word not in self.present
        return False

    def kept(self, words: Sequence[str]) -> List[str]:
        """The words that may stay, without those that are replaced by others of their name."""
        return [
            self._renamed(word) for word in words if not self.unwanted(word) and key_of(word) not in self.keys
        ]

    def cleaned(self, words: Sequence[str]) -> List[str]:
        """The words that may stay; those of wished names too."""
        return [self._renamed(word) for word in words if not self.unwanted(word)]

    def has_all(self, words: Sequence[str]) -> bool:
        """Whether the words that must be there are, alone of their names and in their order."""
        of_key = {key: [word for word in words if key_of(word) == key] for key in self.keys}
        return all(of_key[key] == [word for word in self.present if key_of(word) == key] for key in self.keys)

    def touches(self, words: Sequence[str]) -> bool:
        """Whether any of the words has the name of one that must be there."""
        return any(key_of(word) in self.keys for word in words)

    def fulfilled(self, words: Sequence[str]) -> bool:
        """Whether nothing is left to do."""
        return self.has_all(words) and self.cleaned(words) == list(words)

    def applied(self, words: Sequence[str]) -> List[str]:
        """The words as wished; what is fulfilled stays as it is."""
        if self.has_all(words):
            return self.cleaned(words)
        return self.kept(words) + list(self.present)
