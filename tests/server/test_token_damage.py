"""The tests of tokens notice damage, as those of the database do (tests/sql/test_mutations.py)."""

import base64
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from livewall import tokens
from livewall.tokens import Claims, Verifier
from tests.server import test_identity
from tests.server.world import Live


async def _unsigned(_self: Verifier, token: str) -> dict[str, object]:
    body = token.split(".")[1]
    return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def _unread(_self: Verifier, _claims: Claims) -> None:
    return None


# What is broken: where, the name there, what takes its place, and the test that turns red.
DAMAGE: dict[str, tuple[object, str, object, Callable[[Live], Awaitable[None]]]] = {
    "tokens: any signature is good": (
        Verifier,
        "_decode",
        _unsigned,
        test_identity.test_a_token_without_a_good_signature_is_refused,
    ),
    "tokens: audience, issuer and dates are not read": (
        Verifier,
        "_check_claims",
        _unread,
        test_identity.test_a_token_with_a_bad_claim_is_refused,
    ),
    "tokens: the expired are good": (
        tokens,
        "LEEWAY",
        1e9,
        test_identity.test_a_token_with_a_bad_claim_is_refused,
    ),
}


@pytest.mark.abuse("A13")
@pytest.mark.parametrize("name", DAMAGE)
async def test_damage_turns_its_test_red(
    live: Live, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    where, attribute, broken, red = DAMAGE[name]
    monkeypatch.setattr(where, attribute, broken)
    with pytest.raises(AssertionError):
        await red(live)
