"""Read template.yaml: what its parameters default to, what the schedule sends, which layers a function has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"

SHORT_NAMES = {"Ref": "Ref", "Condition": "Condition"}


class _Loader(yaml.SafeLoader):
    """A YAML loader that knows CloudFormation's short forms, `!Ref` and company."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = SHORT_NAMES.get(suffix, f"Fn::{suffix}")
    if isinstance(node, yaml.ScalarNode):
        text = loader.construct_scalar(node)
        return {name: str(text).split(".", 1) if suffix == "GetAtt" else text}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    raise yaml.constructor.ConstructorError(None, None, f"!{suffix} of an unknown kind", node.start_mark)


_Loader.add_multi_constructor("!", _intrinsic)


@dataclass(frozen=True)
class Template:
    """A template as CloudFormation's long form would write it: nested dicts, `{"Ref": …}`, `{"Fn::GetAtt": [a, b]}`."""

    body: Mapping[str, Any]

    @cached_property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """The parameters by name."""
        return dict(self.body["Parameters"])

    @cached_property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        """The resources by logical name."""
        return dict(self.body["Resources"])

    def of_type(self, *types: str) -> Mapping[str, Mapping[str, Any]]:
        """Properties of the resources of these types, by logical name."""
        return {name: one.get("Properties", {}) for name, one in self.resources.items() if one["Type"] in types}

    @cached_property
    def functions(self) -> Mapping[str, Mapping[str, Any]]:
        """Properties of the functions, without what Globals adds."""
        return self.of_type("AWS::Serverless::Function")

    def environment(self, function: str) -> Mapping[str, Any]:
        """The variables of a function, those of Globals included."""
        shared = self.body["Globals"]["Function"]["Environment"]["Variables"]
        return {**shared, **self.functions[function]["Environment"]["Variables"]}

    def layers(self, function: str) -> list[str]:
        """Logical names of a function's layers, those of Globals first."""
        refs = [*self.body["Globals"]["Function"]["Layers"], *self.functions[function].get("Layers", [])]
        return [ref["Ref"] for ref in refs]

    def schedule_input(self, function: str) -> str:
        """The JSON text that a function's schedule sends to it."""
        events: Iterable[Mapping[str, Any]] = self.functions[function]["Events"].values()
        return next(str(event["Properties"]["Input"]) for event in events if event["Type"] == "Schedule")


def load_template(path: Path = TEMPLATE) -> Template:
    """Read a template from a file."""
    # _Loader is a SafeLoader: it builds plain data only.
    return Template(yaml.load(path.read_text(), Loader=_Loader))  # noqa: S506
