"""What systemd is told of a service that it started with `Type=notify` (sd_notify(3))."""

import contextlib
import os
import socket

READY = "READY=1"
STOPPING = "STOPPING=1"


def tell(state: str) -> None:
    """Tell it; nobody hears if we were started by something else."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line,
    ):
        # An @ stands for the zero byte of a name that lies in no folder.
        name = "\0" + address[1:] if address.startswith("@") else address
        line.sendto(state.encode(), name)
