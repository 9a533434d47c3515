"""The web client's own tests of what is pure in it, run by its own runner."""

import hatch_build


def test_the_web_client_passes_its_own_tests() -> None:
    hatch_build.main(["test"])
