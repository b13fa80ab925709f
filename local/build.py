"""Build the stack with `sam build`, for one runtime and processor that the layers and the template agree on.

`python -m local.build` builds for real AWS. The runtime and the processor come from the command line, else from the
answers that `make deploy` left in samconfig.toml, else from the defaults of the template.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local import children
from local.samconfig import SAMCONFIG, read_config
from local.template import ROOT, TEMPLATE, load_template

SAM = ROOT / ".local/sam/bin/sam"
LAYERS = ROOT / "layers"
BUILDS = ROOT / ".local/builds"
KEPT_BUILDS = 3
# Copies of a function that a queue has run at once in the emulator. It unpacks all layers for each of them, so that ten
# keep two processors busy for longer than the work does.
MOST_COPIES = 4


class BuildError(Exception):
    """The stack cannot be built as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """What functions run on: a Lambda runtime such as `python3.13`, and `arm64` or `x86_64`."""

    runtime: str
    architecture: str

    @property
    def parameters(self) -> dict[str, str]:
        """The template's parameters that say the same."""
        return {"PythonRuntime": self.runtime, "Architecture": self.architecture}


def target_of_this_machine() -> Target:
    """The runtime and processor that this interpreter and this machine have."""
    architecture = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    return Target(f"python{sys.version_info.major}.{sys.version_info.minor}", architecture)


def configured_target(samconfig: Path, template: Path = TEMPLATE) -> Target:
    """The runtime and processor of the last guided deployment, else the template's defaults."""
    values = {name: str(one["Default"]) for name, one in load_template(template).parameters.items()}
    values.update(read_config(samconfig).answers)
    return Target(values["PythonRuntime"], values["Architecture"])


def find_interpreter(runtime: str) -> Path | None:
    """An interpreter of the runtime's version on this machine, to compile byte code with; None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    version = runtime.removeprefix("python")
    candidates = [sys.executable, shutil.which(runtime), *sorted(pyenv.glob(f"versions/{version}.*/bin/{runtime}"))]
    asked = subprocess.run(
        ["uv", "python", "find", "--no-project", "--no-python-downloads", version],
        env=_tool_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    candidates.append(asked.stdout.strip() or None)
    return next((Path(one) for one in candidates if one and _has_version(one, version)), None)


def _has_version(interpreter: str | Path, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run([interpreter, "-I", "-c", code], capture_output=True, text=True, check=False)
    return asked.stdout.strip() == version


def _tool_environ() -> dict[str, str]:
    return {**os.environ, "PATH": f"{ROOT / '.venv/bin'}:{os.environ.get('PATH', os.defpath)}"}


def build(target: Target, directory: Path, log_dir: Path) -> None:
    """Run `sam build` into a directory. Raises ChildFailed with the end of its log, BuildError for a target unknown."""
    _check(target)
    compiler = find_interpreter(target.runtime)
    environ = {
        **_tool_environ(),
        "SAM_CLI_TELEMETRY": "0",
        "SLUICE_PYTHON": target.runtime,
        "SLUICE_ARCHITECTURE": target.architecture,
        "SLUICE_COMPILER": str(compiler or ""),
    }
    # SAM's cache sees a layer's own folder; what else decides a layer is in the name of the cache.
    cache = directory.parent / f"cache-{digest([*LAYERS.glob('*.mk'), compiler or LAYERS])}"
    command = [str(SAM), "build", "--template-file", str(TEMPLATE), "--build-dir", str(directory)]
    command += [
        "--cached",
        "--cache-dir",
        str(cache),
        "--parallel",
        "--parameter-overrides",
        *(f"{k}={v}" for k, v in target.parameters.items()),
    ]
    log_dir.mkdir(parents=True, exist_ok=True)
    children.run("build", command, environ, log_dir, ROOT)
    seal(directory / "template.yaml", target)


def _check(target: Target) -> None:
    parameters = load_template().parameters
    for name, value in target.parameters.items():
        allowed = parameters[name]["AllowedValues"]
        if value not in allowed:
            raise BuildError(f"{name} is {value}; the template allows {', '.join(allowed)}")


def seal(template: Path, target: Target) -> None:
    """Let a built template take no other runtime and processor than those that its layers were built for."""
    body = yaml.safe_load(template.read_text())
    for name, value in target.parameters.items():
        body["Parameters"][name].update(Default=value, AllowedValues=[value])
    _write_template(template, body)


def pack_layers(template: Path) -> None:
    """Have a built template name its layers as archives, which `sam deploy` uploads as they are.

    Given folders, it compresses them anew each time: most of the time that a deployment to the emulator takes.
    """
    body = json.loads(template.read_text())
    for resource in body["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            folder = template.parent / resource["Properties"]["ContentUri"]
            _archive(folder, folder.with_suffix(".zip"))
            resource["Properties"]["ContentUri"] = f"{folder.name}.zip"
    _write_template(template, body)


def spare_copies(template: Path) -> None:
    """Have the queues of a built template run a few copies of a function at once, for the emulator.

    As a number: what a parameter gives stays text in the emulator, and stops all of its queues.
    """
    body = json.loads(template.read_text())
    for resource in body["Resources"].values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            resource["Properties"]["ScalingConfig"]["MaximumConcurrency"] = MOST_COPIES
    _write_template(template, body)


def _archive(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))


def _write_template(template: Path, body: Mapping[str, Any]) -> None:
    # JSON is YAML; SAM reads the template seven times in a deployment, and JSON in no time.
    template.write_text(json.dumps(body, indent=1))


@contextmanager
def built(target: Target, builds: Path, log_dir: Path) -> Iterator[Path]:
    """Build into a folder of its own for the sources as they are, unless that is there; give the folder to the block.

    Two processes may do so at the same time. A folder is never written to again, and stays while a block uses it.
    """
    directory = builds / f"{target.runtime}-{target.architecture}-{digest(_sources())}"
    with ExitStack() as use:
        with _locked(builds / "lock"):
            if not directory.exists():
                unfinished = builds / "unfinished" / "build"
                build(target, unfinished, log_dir)
                pack_layers(unfinished / "template.yaml")
                spare_copies(unfinished / "template.yaml")
                unfinished.rename(directory)
            file = use.enter_context((directory / "template.yaml").open())
            fcntl.flock(file, fcntl.LOCK_SH)
            _prune(builds)
        yield directory


def _prune(builds: Path) -> None:
    done = sorted(builds.glob("python*-*-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in done[KEPT_BUILDS:]:
        with (old / "template.yaml").open() as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old)


def _sources() -> Iterator[Path]:
    yield from (TEMPLATE, Path(__file__))
    for folder in ("layers", "functions"):
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if "__pycache__" not in path.parts)


def digest(files: Iterable[Path]) -> str:
    """Twelve hexadecimal digits that change when a name or the content of a file does."""
    state = hashlib.sha256()
    for path in files:
        if path.is_file():
            content = path.read_bytes()
            state.update(f"{path}\0{len(content)}\0".encode())
            state.update(content)
    return state.hexdigest()[:12]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: Mapping[str, str | None]) -> int:
    """Build into .aws-sam/build, where `sam deploy` looks."""
    configured = configured_target(SAMCONFIG)
    target = Target(arguments["runtime"] or configured.runtime, arguments["architecture"] or configured.architecture)
    print(f"Building for {target.runtime} on {target.architecture} (PYTHON_RUNTIME=, ARCHITECTURE= choose others) …")
    try:
        build(target, ROOT / ".aws-sam/build", ROOT / ".aws-sam")
    except (BuildError, children.ChildFailed) as error:
        print(error, file=sys.stderr)
        return 1
    print("Built into .aws-sam/build.")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m local.build", description=__doc__)
    parser.add_argument("--runtime", help="a Lambda runtime, such as python3.13")
    parser.add_argument("--architecture", help="arm64 or x86_64")
    sys.exit(main(vars(parser.parse_args())))
