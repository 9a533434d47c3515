"""`livewall preflight`: the production checklist, walked against the live system."""

import os
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from livewall.cli_calls import AsJson, harmless, print_json
from livewall.cli_ledger import read_hash

if TYPE_CHECKING:
    from livewall.preflight.checks import Check
    from livewall.preflight.run import Outcome

WORDS = {"pass": "pass", "fail": "FAIL", "not_proven": "not proven"}


def preflight(
    only: Annotated[
        str, typer.Option(metavar="IDS", help="Only these, by comma, such as S30,S36.")
    ] = "",
    head: Annotated[
        str,
        typer.Option(
            metavar="HASH",
            callback=read_hash,
            help="A head of the ledger kept elsewhere: it must be in the chain.",
        ),
    ] = "",
    backups: Annotated[
        str,
        typer.Option(
            metavar="FOLDER", help="Where backups are, for P9; else where the last one was made."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Walk the production checklist against the live system; say what to do next.

    Each item passes, fails, or is not proven: what can not be seen from here never passes. The
    exit code is 0 if all pass, 1 if any fails, 2 if none fails and something is not proven.

    Safe on a live system: what it tries is rolled back and locks nobody's rows. Run it with the
    settings that the server has. docs/preflight.md says what each item does.

    livewall preflight

    livewall preflight --only S30,S36

    livewall preflight --head "$(tail -1 heads.txt)" --json > today.json
    """
    from livewall.database import available, named, require_existing
    from livewall.preflight.run import Asked, run_here, settings_here
    from livewall.settings import read

    wanted = _ids(only)
    require_existing(read(os.environ))
    settings = settings_here()
    asked = Asked(wanted, head, backups, is_embedded=not settings.database_url)
    with available(settings) as ready:
        outcomes = run_here(ready, asked, _say)
    if as_json:
        print_json(outcomes)
    else:
        _print(outcomes, named(settings))
    statuses = {outcome.status for outcome in outcomes}
    if statuses != {"pass"}:
        raise typer.Exit(1 if "fail" in statuses else 2)


def _ids(text: str) -> tuple[str, ...]:
    """Read --only. Raises BadParameter for an id that no check has."""
    from livewall.preflight import CHECKS

    ids = tuple(word.upper() for word in re.split(r"[\s,]+", text) if word)
    known = {check.id for check in CHECKS}
    for unknown in ids:
        if unknown not in known:
            raise typer.BadParameter(f"{unknown} is no item: docs/preflight.md lists them.")
    return ids


def _say(check: "Check") -> None:
    """Show on a terminal what is looked at: the ledger may take a while."""
    if sys.stderr.isatty():
        print(f"\x1b[2K{check.id} {check.title} ...", end="\r", file=sys.stderr, flush=True)


def _print(outcomes: list["Outcome"], where: str) -> None:
    if sys.stderr.isatty():
        print("\x1b[2K", end="", file=sys.stderr, flush=True)
    for outcome in outcomes:
        print(f"{WORDS[outcome.status]:10}  {outcome.id:3}  {outcome.title}")
        print(f"{'':17}{harmless(outcome.evidence)}")
        if outcome.next:
            print(f"{'':17}next: {harmless(outcome.next)}")
    counts = Counter(outcome.status for outcome in outcomes)
    said = ", ".join(f"{counts[status]} {word.lower()}" for status, word in WORDS.items())
    print(f"\nLooked at {where}.\n{said}.")
