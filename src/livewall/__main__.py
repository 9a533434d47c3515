"""`python -m livewall` is the `livewall` command."""

from livewall.cli import main

main()
