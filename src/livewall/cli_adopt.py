"""`livewall db adopt`: the move from the previous schema, tried or done."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from livewall.cli_calls import AsJson, print_json
from livewall.visible import visible

if TYPE_CHECKING:
    from livewall.adoption import Finding, Report


def adopt(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it, report, and leave everything as it was.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Do it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move the database of the previous schema (video_boxes, box_viewers) to this one.

    Stop the old application and take a backup first. Everything happens in one transaction: stopped
    at any time, nothing happened, and it can be run again. Old tables are kept in the schema
    `previous`, with what does not fit into the new ones; only video_boxes and box_viewers end.

    A dry run does the same and rolls it back: it holds the old tables for as long.

    Exit code 0: done, or it would go well. 1: refused, with the accounts to put right. 2: say one
    of --dry-run and --apply.

    DATABASE_URL=postgresql://... livewall db adopt --dry-run

    DATABASE_URL=postgresql://... livewall db adopt --apply
    """
    import asyncio

    from livewall.administrator import set_authenticator_password
    from livewall.adoption import adopt as move
    from livewall.settings import SettingsError, load

    if dry_run == apply:
        raise typer.BadParameter("Say one of --dry-run and --apply.")
    settings = load()
    if not settings.database_url:
        raise SettingsError("Set DATABASE_URL to the database of the previous schema.")
    report = asyncio.run(move(settings.database_url, apply=apply))
    # Also when it was adopted before: that run may have been cut off in between.
    if report.outcome in {"adopted", "adopted before"}:
        asyncio.run(set_authenticator_password(settings.database_url, settings.web_database_url))
    if as_json:
        print_json(report)
    else:
        _print(report)
    if report.outcome == "refused":
        print("livewall: refused, nothing was changed: see REFUSED above.", file=sys.stderr)
        raise typer.Exit(1)


def _print(report: "Report") -> None:
    if report.outcome == "adopted before":
        print("This database was adopted before: nothing to do.")
        return
    for copy in report.copies:
        print(f"{copy.table} -> {copy.becomes}: {copy.copied:,} of {copy.rows:,}")
    for finding in report.findings:
        _print_finding(finding)
    for title, tables in (
        ("Not there, taken as empty", report.missing),
        ("Kept in schema previous, not looked into", report.unread),
        ("Dropped", report.dropped),
    ):
        if tables:
            print(visible(f"{title}: {', '.join(tables)}"))
    if "ledger_entries" in report.missing:
        print("There is no old ledger: balances are taken as they are, nothing could check them.")
    if report.openings:
        print(
            f"Opening balances: {report.openings.coins:,} coins and "
            f"{report.openings.earnings:,} earnings of {report.openings.people:,} people"
        )
    if report.outcome == "would adopt":
        print("This was a dry run, nothing was changed. `livewall db adopt --apply` does it.")
    elif report.outcome == "adopted":
        print("Adopted. Prove it: livewall ledger verify")
        print("The old tables are in schema previous: drop it when nobody misses anything.")


def _print_finding(finding: "Finding") -> None:
    shown = finding.rows if finding.outcome == "refused" else finding.rows[:5]
    print(f"{finding.outcome.upper()}  {finding.table}: {finding.count:,} rows, {finding.rule}")
    print(f"    {finding.words}.")
    for row in shown:
        print(f"      {visible(row)}")
    if finding.outcome != "refused" and finding.count > len(shown):
        print(f"      and {finding.count - len(shown):,} more")
