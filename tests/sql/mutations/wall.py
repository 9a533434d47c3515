"""Damage to the personal wall."""

from tests.sql import test_direct_writes, test_grid
from tests.sql.mutations.damage import Mutation, edit

GRID = "code/grid"

MUTATIONS = [
    Mutation(
        "grid: saving one wall empties all",
        edit(
            GRID,
            (
                "DELETE FROM public.user_grid_slots WHERE viewer_id = v_caller;",
                "DELETE FROM public.user_grid_slots;",
            ),
        ),
        test_grid.test_two_people_have_twelve_slots_each_and_share_none,
    ),
    Mutation(
        "grid: any number is a slot",
        edit(GRID, ("'^([1-9]|1[0-2])$'", "'^-?[0-9]+$'")),
        test_grid.test_a_slot_that_is_not_1_to_12_is_refused,
        {"index": 13},
    ),
    Mutation(
        "grid: slot 13 by plain SQL",
        "ALTER TABLE public.user_grid_slots DROP CONSTRAINT user_grid_slots_index_1_to_12",
        test_grid.test_plain_sql_cannot_write_such_a_slot_either,
        {"index": "13"},
    ),
    Mutation(
        "grid: a streamer twice on a wall",
        "ALTER TABLE public.user_grid_slots DROP CONSTRAINT user_grid_slots_streamer_once",
        test_grid.test_one_streamer_in_two_slots_is_refused,
    ),
    Mutation(
        "grid: five active tiles",
        edit(GRID, ("> (SELECT max_active_tiles FROM private.settings)", "> 12")),
        test_grid.test_five_active_tiles_are_refused,
    ),
    Mutation(
        "grid: tiles are counted in an old snapshot",
        "DROP TRIGGER user_grid_slots_need_present_view ON public.user_grid_slots",
        test_direct_writes.test_no_rule_is_checked_against_an_old_snapshot,
        {"level": "REPEATABLE READ"},
    ),
]
