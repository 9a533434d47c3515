"""A server as a process of its own: how it is started, where it listens, whether it answers."""

import socket
import urllib.request

# The command `livewall serve`, but a test run that is killed leaves no server behind.
SERVE = "from livewall import cli, cli_up; cli_up.end_with_parent(); cli.main()"


def free_port() -> int:
    """Return a port that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    """Say whether an address answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
