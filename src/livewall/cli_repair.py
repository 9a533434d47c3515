"""`livewall db repair`: makes again what somebody changed in the database by hand."""

import asyncio
import sys
from typing import TYPE_CHECKING

import typer

from livewall.cli_calls import AsJson, print_json

if TYPE_CHECKING:
    from livewall.preflight.differences import Difference


def repair(as_json: AsJson = False) -> None:
    """Make again what protects the data, although the files say that nothing has changed.

    All functions, policies, triggers, grants and row security, in one transaction; prints what
    that mended, with --json each as it was and as it should be. What is not Livewall's stays, and
    so do constraints, for a check of the rows may fail: each is printed with the statement that
    makes it right, and the exit code is 1.

    livewall db repair --json > repaired.json
    """
    from livewall import repair as repairing
    from livewall.database import available, load_existing

    with available(load_existing()) as settings:
        mended, left = asyncio.run(repairing.repair(settings.database_url))
    if as_json:
        print_json({"mended": mended, "left": left})
    else:
        _print(mended, left)
    if left:
        print("livewall: not all of it is as it should be.", file=sys.stderr)
        raise typer.Exit(1)
    print("All of it is as it should be.", file=sys.stderr)


def _print(mended: "list[Difference]", left: "list[Difference]") -> None:
    for difference in mended:
        print(f"mended  {difference.item}")
    for difference in left:
        print(f"left    {difference.item}")
        if difference.statement:
            print(f"        {difference.statement};")
