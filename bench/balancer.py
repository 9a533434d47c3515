"""nginx in front of several servers, with the upstream that docs/operations.md gives."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.processes import answers, free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTED = re.compile(r"^upstream livewall \{.*?^\}$", re.MULTILINE | re.DOTALL)
# The rest as in docs/production.md, without TLS and without limits for one address: all of the
# crowd comes from one.
CONFIGURATION = """
daemon off;
pid nginx.pid;
error_log error.log;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    {temporary}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    {upstream}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://livewall;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_read_timeout 90s;
            proxy_buffering off;
        }}
    }}
}}
"""
KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _configuration(port: int, ports: Sequence[int]) -> str:
    found = DOCUMENTED.search((ROOT / "docs" / "operations.md").read_text())
    assert found is not None, "docs/operations.md has no upstream"
    upstream = found[0]
    documented = re.findall(r"127\.0\.0\.1:(\d+)", upstream)
    for old, new in zip(documented, ports, strict=True):
        upstream = upstream.replace(old, str(new))
    temporary = " ".join(f"{kind}_temp_path {kind};" for kind in KINDS)
    return CONFIGURATION.format(port=port, upstream=upstream, temporary=temporary)


def nginx() -> str:
    """Return the program. Raises RuntimeError where there is none."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        raise RuntimeError("There is no nginx: apt-get install nginx-light")
    return found


@contextmanager
def _folder_with(configuration: str) -> Generator[str]:
    with tempfile.TemporaryDirectory(prefix="livewall-nginx-") as folder:
        # Its workers are nobody in particular.
        Path(folder).chmod(0o755)
        (Path(folder) / "nginx.conf").write_text(configuration)
        yield folder


@asynccontextmanager
async def balancing(ports: Sequence[int]) -> AsyncGenerator[str]:
    """Balance between these ports of this machine until the block ends; gives the address."""
    port = free_port()
    with _folder_with(_configuration(port, ports)) as folder:
        process = await asyncio.create_subprocess_exec(
            *(nginx(), "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log")
        )

        async def is_there() -> bool:
            return await asyncio.to_thread(answers, f"http://127.0.0.1:{port}/readyz")

        try:
            await until(is_there, 30, "the balancer answers")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()
