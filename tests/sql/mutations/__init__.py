"""Named ways to damage the SQL, each with the test of this folder that has to notice."""

from tests.sql.mutations import (
    access,
    camera,
    money_decisions,
    money_gifts,
    money_inbox,
    money_ledger,
    money_payments,
    money_purchases,
    people,
    wall,
    watching,
)

MUTATIONS = [
    *access.MUTATIONS,
    *wall.MUTATIONS,
    *watching.MUTATIONS,
    *camera.MUTATIONS,
    *people.MUTATIONS,
    *money_ledger.MUTATIONS,
    *money_purchases.MUTATIONS,
    *money_payments.MUTATIONS,
    *money_decisions.MUTATIONS,
    *money_inbox.MUTATIONS,
    *money_gifts.MUTATIONS,
]
