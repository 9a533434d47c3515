"""Operating it: what takes long enough that somebody waits for it.

    python -m bench.ops        all of it

Progress goes to stderr; the last line is JSON. Exit code 1 if a limit is missed.
"""

import uvloop

from bench.adoption import adopt_figures
from bench.drills import drill_figures
from bench.figures import Figure, finish, say
from bench.leaders import leader_figures
from bench.preflights import preflight_figures
from bench.rolling import rolling_figures


async def measure() -> list[Figure]:
    """Run all parts, each on a database of its own."""
    say("Moving from the previous schema")
    figures = await adopt_figures()
    say("A backup, and the drill that proves it")
    figures += await drill_figures()
    say("Preflight")
    figures += await preflight_figures()
    say("The leader of the jobs is lost")
    figures += await leader_figures()
    say("Restarts")
    return [*figures, *await rolling_figures()]


if __name__ == "__main__":
    finish("ops", uvloop.run(measure()))
