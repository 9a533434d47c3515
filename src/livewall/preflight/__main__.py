"""Prints docs/preflight.md; with the word `expected` expected.json, from a new database."""

import sys

from livewall.preflight import document, expected

if sys.argv[1:] == ["expected"]:
    print(expected.document(expected.fresh()), end="")
else:
    print(document(), end="")
