from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from local.template import Template, load_template


@pytest.fixture
def template(tmp_path: Path) -> Template:
    path = tmp_path / "template.yaml"
    path.write_text("""
Parameters: {Runtime: {Type: String, Default: python3.13}}
Globals: {Function: {Layers: [!Ref Shared], Environment: {Variables: {TABLE: !Ref Table}}}}
Resources:
  Table: {Type: "AWS::DynamoDB::Table"}
  Poll:
    Type: AWS::Serverless::Function
    Properties:
      Layers: [!Ref Own]
      Environment: {Variables: {ARN: !GetAtt Table.Arn, NAME: !Sub "${Table}-x", URL: !If [Public, NONE, AWS_IAM]}}
      Events: {Tick: {Type: Schedule, Properties: {Input: '{"a": 1}'}}}
""")
    return load_template(path)


def test_short_forms_are_read_as_the_long_ones(template: Template) -> None:
    assert template.environment("Poll") == {
        "TABLE": {"Ref": "Table"},
        "ARN": {"Fn::GetAtt": ["Table", "Arn"]},
        "NAME": {"Fn::Sub": "${Table}-x"},
        "URL": {"Fn::If": ["Public", "NONE", "AWS_IAM"]},
    }


def test_what_globals_adds_comes_first(template: Template) -> None:
    assert template.layers("Poll") == ["Shared", "Own"]


def test_the_schedule_says_what_it_sends(template: Template) -> None:
    assert template.schedule_input("Poll") == '{"a": 1}'


def test_resources_are_found_by_type(template: Template) -> None:
    assert list(template.functions) == ["Poll"]
    assert template.of_type("AWS::DynamoDB::Table") == {"Table": {}}


def test_what_is_named_once_is_written_out(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("""
Resources:
  One: {Type: Alarm, Properties: {<<: &Alarm {Period: 60, Actions: [!Ref Topic]}, Metric: &Metric !GetAtt One.Name}}
  Two: {Type: Alarm, Properties: {<<: *Alarm, Period: 300, Metric: *Metric}}
""")
    assert load_template(path).of_type("Alarm") == {
        "One": {"Period": 60, "Actions": [{"Ref": "Topic"}], "Metric": {"Fn::GetAtt": ["One", "Name"]}},
        "Two": {"Period": 300, "Actions": [{"Ref": "Topic"}], "Metric": {"Fn::GetAtt": ["One", "Name"]}},
    }


def test_a_tag_cannot_run_code(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(yaml.constructor.ConstructorError):
        load_template(path)
