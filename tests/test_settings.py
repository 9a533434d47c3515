"""Settings from the environment: what is taken, what is refused, what is never shown."""

import re
from pathlib import Path

import pytest

from livewall.configuration import describe, document
from livewall.db import Database
from livewall.payments import open_provider
from livewall.payments.sandbox import Sandbox
from livewall.settings import PEERS_SEE_ADDRESSES, Settings, SettingsError, load, read

SECRET = "a secret of at least thirty-two bytes"
PRODUCTION = {"LIVEWALL_ENV": "production", "LIVEWALL_SECRET": SECRET}


def test_nothing_set_is_a_working_development() -> None:
    settings = read({"PATH": "/bin"})
    assert settings == Settings()
    assert settings.url == "http://127.0.0.1:8400"
    assert not settings.production


def test_values_are_read_by_their_type() -> None:
    settings = read(
        {
            "LIVEWALL_PORT": " 9000 ",
            "LIVEWALL_OPEN": "0",
            "LIVEWALL_TRUSTED_PROXIES": "10.0.0.1, ::1,",
            "LIVEWALL_HOST": "::1",
            "DATABASE_URL": "postgresql:///x",
        }
    )
    assert (settings.port, settings.open) == (9000, False)
    assert settings.trusted_proxies == ("10.0.0.1", "::1")
    assert settings.url == "http://[::1]:9000"
    assert settings.database_url == "postgresql:///x"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LIVEWALL_PROT", "1", "LIVEWALL_PROT is not a setting: did you mean LIVEWALL_PORT"),
        ("LIVEWALL_XYZZYQQ", "1", "livewall config"),
        ("LIVEWALL_PORT", "web", "LIVEWALL_PORT 'web' does not fit: use a whole number"),
        ("LIVEWALL_PORT", "65536", "<= 65535"),
        ("LIVEWALL_SEATS", "0", ">= 1"),
        ("LIVEWALL_ENV", "prod", '"development" or "production"'),
        ("LIVEWALL_OPEN", "maybe", "use 1 or 0"),
        ("LIVEWALL_SECRET", "short", "LIVEWALL_SECRET is too short"),
        ("LIVEWALL_SECRET", f"{SECRET}  # openssl rand", "put comments on lines of their own"),
        ("LIVEWALL_TURN_RELAY_ONLY", "1", "needs LIVEWALL_TURN_URL"),
        ("LIVEWALL_ACCEPT_PEER_ADDRESSES", "yes", PEERS_SEE_ADDRESSES),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_what_to_do(
    variable: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read({variable: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.abuse("T9")
def test_a_secret_is_made_once_and_kept_closed(tmp_path: Path) -> None:
    environ = {"LIVEWALL_DATA_DIR": str(tmp_path / "data")}
    first = load(environ)
    assert len(first.secret) >= 32
    assert load(environ).secret == first.secret
    assert (tmp_path / "data" / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.abuse("T10")
def test_production_needs_a_secret_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LIVEWALL_SECRET is needed"):
        load({"LIVEWALL_ENV": "production", "LIVEWALL_DATA_DIR": str(tmp_path / "data")})
    assert not (tmp_path / "data").exists()


@pytest.mark.abuse("T8")
def test_production_does_not_show_addresses_unasked() -> None:
    with pytest.raises(SettingsError, match="see each other's addresses"):
        load(PRODUCTION)
    accepted = {**PRODUCTION, "LIVEWALL_ACCEPT_PEER_ADDRESSES": PEERS_SEE_ADDRESSES}
    assert load(accepted).production
    relayed = {
        **PRODUCTION,
        "LIVEWALL_TURN_RELAY_ONLY": "1",
        "LIVEWALL_TURN_URL": "turns:turn.example:5349",
        "LIVEWALL_TURN_SECRET": "shared with the TURN server",
    }
    assert load(relayed).turn_relay_only


UNSAFE = [
    ("LIVEWALL_SECRET", "a" * 64, "LIVEWALL_SECRET is easy to guess"),
    ("LIVEWALL_SECRET", "changeme" * 8, "LIVEWALL_SECRET is easy to guess"),
    ("LIVEWALL_PUBLIC_URL", "http://live.example", "LIVEWALL_PUBLIC_URL 'http://live.example'"),
    ("LIVEWALL_PUBLIC_URL", "live.example", "https://"),
    ("LIVEWALL_JWKS_URL", "http://issuer.example/keys", "LIVEWALL_JWKS_URL"),
    ("LIVEWALL_TRUSTED_PROXIES", "127.0.0.1,0.0.0.0/0", "'0.0.0.0/0' lets strangers"),
    ("LIVEWALL_TRUSTED_PROXIES", "::/0", "'::/0' lets strangers"),
    ("LIVEWALL_TRUSTED_PROXIES", "64.0.0.0/2", "'64.0.0.0/2' lets strangers"),
    ("LIVEWALL_TRUSTED_PROXIES", "proxy", "'proxy' does not fit"),
]


@pytest.mark.abuse("T10")
@pytest.mark.parametrize(("variable", "value", "words"), UNSAFE)
def test_production_refuses_what_is_only_safe_at_home(
    variable: str, value: str, words: str
) -> None:
    accepted = {**PRODUCTION, "LIVEWALL_ACCEPT_PEER_ADDRESSES": PEERS_SEE_ADDRESSES}
    with pytest.raises(SettingsError) as caught:
        load({**accepted, variable: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_production_demands_is_on_the_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", document(), re.MULTILINE)
    told = {variable for variable, demand in rows if demand}
    # The others that the tests around here see refused, or not taken.
    more = {"DEMO", "TURN_RELAY_ONLY", "PAYMENTS", "STRIPE_API_BASE"}
    assert told == {variable for variable, _, _ in UNSAFE} | {f"LIVEWALL_{name}" for name in more}


def test_production_takes_a_proxy_and_a_private_network_and_loopback() -> None:
    environ = {
        **PRODUCTION,
        "LIVEWALL_ACCEPT_PEER_ADDRESSES": PEERS_SEE_ADDRESSES,
        "LIVEWALL_TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8,fd00::/8",
        "LIVEWALL_PUBLIC_URL": "http://127.0.0.1:8400",
        "LIVEWALL_JWKS_URL": "https://issuer.example/keys",
    }
    assert load(environ).production


@pytest.mark.abuse("T9")
def test_the_web_servers_address_is_derived_and_reveals_nothing() -> None:
    url = "postgresql://admin:pw@/livewall?host=%2Ftmp%2Fsocket&port=5432"
    settings = read({"DATABASE_URL": url, "LIVEWALL_SECRET": SECRET})
    derived = settings.web_database_url
    assert derived.startswith("postgresql://authenticator:")
    assert derived.endswith("@/livewall?host=%2Ftmp%2Fsocket&port=5432")
    assert "pw" not in derived.partition("?")[0]
    assert SECRET not in derived
    other = read({"DATABASE_URL": url, "LIVEWALL_SECRET": SECRET + "x"})
    assert other.web_database_url != derived


@pytest.mark.abuse("T9")
def test_descriptions_mask_secrets_and_name_their_source() -> None:
    environ = {"DATABASE_URL": "postgresql://a:hidden@h/x", "LIVEWALL_SECRET": SECRET}
    shown = {each.variable: each for each in describe(read(environ), environ)}
    assert shown["DATABASE_URL"].value == shown["LIVEWALL_SECRET"].value == "********"
    assert shown["DATABASE_URL"].source == "environment"
    assert shown["LIVEWALL_PORT"].source == "default"
    assert all(each.description for each in shown.values())
    assert "hidden" not in repr(read(environ))


STRIPE = {
    "LIVEWALL_PAYMENTS": "stripe",
    "LIVEWALL_STRIPE_SECRET_KEY": "sk_test_hidden",
    "LIVEWALL_STRIPE_PUBLISHABLE_KEY": "pk_test_shown",
    "LIVEWALL_STRIPE_WEBHOOK_SECRET": "whsec_hidden",
}


@pytest.mark.abuse("T10")
def test_the_sandbox_is_for_development_only() -> None:
    accepted = {**PRODUCTION, "LIVEWALL_ACCEPT_PEER_ADDRESSES": PEERS_SEE_ADDRESSES}
    assert read({}).payments == "sandbox"
    assert read(accepted).payments == "none"
    with pytest.raises(SettingsError, match="sells coins for nothing") as caught:
        load({**accepted, "LIVEWALL_PAYMENTS": "sandbox"})
    assert "\n" not in str(caught.value)
    # Settings that were never read: whoever makes them by hand gets no sandbox either.
    assert open_provider(Settings(env="production"), Database("")) is None
    assert isinstance(open_provider(Settings(), Database("")), Sandbox)


@pytest.mark.parametrize("missing", list(STRIPE)[1:])
def test_stripe_needs_its_three_keys_each_in_its_place(missing: str) -> None:
    assert read(STRIPE).payments == "stripe"
    for value in ("", "nonsense", "sk_", "pk_", "whsec_"):
        if value and STRIPE[missing].startswith(value):
            continue
        with pytest.raises(SettingsError, match=f"needs {missing}, which begins with") as caught:
            read({**STRIPE, missing: value})
        assert "\n" not in str(caught.value)


@pytest.mark.abuse("T9")
def test_stripes_secrets_are_masked_and_its_address_is_encrypted() -> None:
    shown = {each.variable: each.value for each in describe(read(STRIPE), STRIPE)}
    assert "hidden" not in str(shown) + repr(read(STRIPE))
    assert shown["LIVEWALL_STRIPE_PUBLISHABLE_KEY"] == "pk_test_shown"
    local = {**STRIPE, "LIVEWALL_STRIPE_API_BASE": "http://localhost:8420"}
    assert read(local).stripe_api_base
    with pytest.raises(SettingsError, match="must be https"):
        read({**local, **PRODUCTION})


def test_a_turn_server_without_a_way_in_is_refused() -> None:
    with pytest.raises(SettingsError, match="the pooler's address in LIVEWALL_AUTHENTICATOR_URL"):
        read({"LIVEWALL_DIRECT_URL": "postgresql://authenticator@db.example"})
    with pytest.raises(SettingsError, match="LIVEWALL_TURN_SECRET"):
        read({"LIVEWALL_TURN_URL": "turn:turn.example:3478"})
