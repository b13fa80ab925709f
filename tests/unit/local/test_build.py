from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local.build import (
    MOST_COPIES,
    BuildError,
    Target,
    build,
    configured_target,
    digest,
    find_interpreter,
    pack_layers,
    seal,
    spare_copies,
    target_of_this_machine,
)
from local.template import ROOT

BUILT: dict[str, Any] = {
    "Parameters": {
        "PythonRuntime": {"Type": "String", "Default": "python3.13", "AllowedValues": ["python3.12", "python3.13"]},
        "Architecture": {"Type": "String", "Default": "arm64", "AllowedValues": ["arm64", "x86_64"]},
        "MaxWaves": {"Type": "Number", "Default": 4},
    },
    "Resources": {
        "SluiceLayer": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "SluiceLayer"}},
        "Table": {"Type": "AWS::DynamoDB::Table"},
        "Source": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {"BatchSize": 1, "ScalingConfig": {"MaximumConcurrency": {"Ref": "JobConcurrency"}}},
        },
    },
}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    template = tmp_path / "template.yaml"
    template.write_text(json.dumps(BUILT))
    return template


def test_the_target_of_this_machine_is_one_that_the_template_allows() -> None:
    target = target_of_this_machine()
    assert target.runtime == f"python3.{sys.version_info.minor}"
    assert target.architecture in {"arm64", "x86_64"}


def test_without_answers_the_template_decides_what_is_built_for(tmp_path: Path) -> None:
    assert configured_target(tmp_path / "samconfig.toml") == Target("python3.13", "arm64")


@pytest.mark.parametrize(
    "overrides",
    [
        '"PythonRuntime=\\"python3.12\\" Architecture=\\"x86_64\\" NotificationEmail=\\"\\""',
        '["PythonRuntime=python3.12", "Architecture=x86_64"]',
    ],
)
def test_the_answers_of_the_last_deployment_decide_what_is_built_for(tmp_path: Path, overrides: str) -> None:
    samconfig = tmp_path / "samconfig.toml"
    samconfig.write_text(f"[default.deploy.parameters]\nparameter_overrides = {overrides}\n")
    assert configured_target(samconfig) == Target("python3.12", "x86_64")


def test_a_runtime_that_the_template_does_not_allow_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"PythonRuntime is python2\.7; the template allows python3\.11, "):
        build(Target("python2.7", "arm64"), tmp_path / "build", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_built_template_takes_no_other_target_than_its_layers_were_built_for(built: Path) -> None:
    seal(built, Target("python3.12", "x86_64"))
    parameters = json.loads(built.read_text())["Parameters"]
    assert parameters["PythonRuntime"] == {"Type": "String", "Default": "python3.12", "AllowedValues": ["python3.12"]}
    assert parameters["Architecture"] == {"Type": "String", "Default": "x86_64", "AllowedValues": ["x86_64"]}
    assert parameters["MaxWaves"] == BUILT["Parameters"]["MaxWaves"]


def test_a_packed_layer_holds_its_files_and_their_modes(built: Path) -> None:
    folder = built.parent / "SluiceLayer"
    (folder / "python").mkdir(parents=True)
    (folder / "python/module.py").write_text("x = 1\n")
    (folder / "wrapper").write_text("#!/bin/sh\n")
    (folder / "wrapper").chmod(0o755)
    pack_layers(built)
    assert json.loads(built.read_text())["Resources"]["SluiceLayer"]["Properties"] == {"ContentUri": "SluiceLayer.zip"}
    with zipfile.ZipFile(built.parent / "SluiceLayer.zip") as archive:
        assert archive.read("python/module.py") == b"x = 1\n"
        assert stat.S_IMODE(archive.getinfo("wrapper").external_attr >> 16) == 0o755


def test_a_queue_runs_a_few_copies_of_a_function_in_the_emulator_and_a_number_of_them(built: Path) -> None:
    spare_copies(built)
    source = json.loads(built.read_text())["Resources"]["Source"]["Properties"]
    assert source == {"BatchSize": 1, "ScalingConfig": {"MaximumConcurrency": MOST_COPIES}}


def test_a_change_of_a_name_or_of_a_content_changes_the_digest(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    before = digest([one])
    one.write_text("b")
    changed = digest([one])
    one.rename(two)
    assert len({before, changed, digest([two])}) == 3


def test_byte_code_is_compiled_by_an_interpreter_of_the_very_version() -> None:
    interpreter = find_interpreter(target_of_this_machine().runtime)
    assert interpreter is not None
    assert find_interpreter("python3.999") is None


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "SLUICE_PYTHON and SLUICE_ARCHITECTURE say what to build for"),
        ({"SLUICE_PYTHON": "python3.13"}, "SLUICE_PYTHON and SLUICE_ARCHITECTURE say what to build for"),
        ({"SLUICE_PYTHON": "python3.13", "SLUICE_ARCHITECTURE": "riscv"}, 'SLUICE_ARCHITECTURE is "riscv"'),
    ],
)
@pytest.mark.parametrize("layer", ["dependencies", "sdk", "sluice", "streaming_runtime"])
def test_a_layer_is_not_built_for_an_unknown_target(
    tmp_path: Path, layer: str, environ: dict[str, str], message: str
) -> None:
    made = subprocess.run(
        ["make", f"build-{layer.title().replace('_', '')}Layer"],
        cwd=ROOT / "layers" / layer,
        env={"PATH": os.environ["PATH"], "ARTIFACTS_DIR": str(tmp_path / "out"), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2
    assert message in made.stderr
    assert not (tmp_path / "out").exists()
