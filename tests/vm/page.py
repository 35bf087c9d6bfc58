# SPDX-License-Identifier: Apache-2.0
"""docs/vm.md, for those that type what it says."""
import os
import re

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "vm.md")


def page():
    with open(PAGE, encoding="utf-8") as file:
        return file.read()


def block(*words):
    """The one code block with these words in it."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page(), re.MULTILINE | re.DOTALL)
    [found] = [each for each in blocks if all(word in each for word in words)]
    return found


def lines(text):
    """One by one, as they would be typed."""
    return text.replace("\\\n", " ").splitlines()


def quoted(pattern):
    """What stands between backquotes in the text, and matches."""
    [found] = set(re.findall(rf"`({pattern})`", page()))
    return found
