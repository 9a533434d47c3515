"""Random histories: many examples of a state machine, on one database that each starts anew in.

The quick profile runs the same examples every time; HYPOTHESIS_PROFILE=deep many more, at random.
"""

import asyncio
import os
from collections.abc import Callable
from typing import TypeVar, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.databases import Cluster
from tests.sql.world import World, new_world

S = TypeVar("S")
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"


def run_histories(
    cluster: Cluster,
    template: str,
    prepare: Callable[[asyncio.Runner, World], S],
    machine: Callable[[S], RuleBasedStateMachine],
    size: tuple[int, int],
) -> None:
    """Run so many examples of so many steps, on the stage that `prepare` makes of one world."""
    examples, steps = size
    with asyncio.Runner() as runner:
        opened = new_world(cluster, template)
        world = runner.run(opened.__aenter__())
        try:
            stage = prepare(runner, world)
            run_state_machine_as_test(
                cast("type[RuleBasedStateMachine]", lambda: machine(stage)),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    derandomize=not DEEP,
                    print_blob=True,
                    phases=[Phase.generate, Phase.shrink],
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
