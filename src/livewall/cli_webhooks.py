"""`livewall webhooks`: what payment providers reported, and acting on it once more."""

from typing import TYPE_CHECKING, Annotated

import typer

from livewall.cli_calls import AsJson, AsName, acting_as, ask, moment, print_json
from livewall.cli_tables import show, table
from livewall.money import EventOutcome, PaymentEvent, PaymentEvents

if TYPE_CHECKING:
    from livewall.db import Database

app = typer.Typer(help="What payment providers reported.", no_args_is_help=True)


@app.command("list")
def list_events(
    outcome: Annotated[
        EventOutcome | None, typer.Option(help="Only events that ended like this.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List events of payment providers, newest first, with what became of each.

    waiting: stored, not acted on yet. applied: done. parked: its purchase is not known yet, for a
    week at most. ignored: of a type that means nothing to us, or of a payment that is not ours.
    failed: see its error; it is tried again.

    livewall webhooks list --outcome failed
    """
    from livewall.db import SERVICE

    async def question(database: "Database") -> PaymentEvents:
        return await database.call(
            SERVICE, "list_payment_events", PaymentEvents, p_outcome=outcome, p_limit=limit
        )

    page = ask(question)
    if as_json:
        print_json(page.events)
    else:
        _print_events(page.events)


@app.command()
def replay(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="The event's id at the provider.")],
    name: AsName,
    provider: Annotated[
        str, typer.Option(help="Whose event it is; by default the provider that is set up.")
    ] = "",
) -> None:
    """Act on a stored event once more.

    Harmless whatever the event: what was applied before changes nothing. Useful for an event that
    failed, or that an older version did not understand. NAME needs the role finance or admin:

    livewall webhooks replay evt_1… --as mia
    """
    from livewall.payments import inbox, open_provider
    from livewall.settings import load

    async def question(database: "Database") -> PaymentEvent:
        reader = open_provider(load(), database)
        key = (provider or (reader.name if reader else "none"), event_id)
        try:
            return await inbox.replay(database, reader, key, await acting_as(database, name))
        finally:
            if reader is not None:
                await reader.close()

    _print_events([ask(question)])


def _print_events(events: list[PaymentEvent]) -> None:
    columns = ("event", "type", "outcome", "received", "tries")
    listed = table(*columns, whole=("event", "outcome", "received"))
    for event in events:
        listed.add_row(
            event.event_id,
            f"{event.provider} {event.type}",
            event.outcome,
            moment(event.received_at),
            f"{event.attempts}: {event.error}" if event.error else str(event.attempts),
        )
    show(listed)
