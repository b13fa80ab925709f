import json

from simulator.models import CATALOGUE, describe, encode_page, find_model


def test_a_model_is_found_by_id_and_by_alias() -> None:
    assert find_model("claude-haiku-4-5") is find_model("claude-haiku-4-5-20251001") is not None
    assert find_model("claude-unheard-of") is None


def test_all_stages_of_life_are_there() -> None:
    stages = {model.lifecycle: model for model in CATALOGUE}
    assert set(stages) == {"active", "deprecated", "retired"}
    assert stages["deprecated"].retires_at == "2026-11-30T00:00:00Z"
    assert stages["active"].retires_at is None


def test_the_catalogue_is_newest_first() -> None:
    created = [model.created_at for model in CATALOGUE]
    assert created == sorted(created, reverse=True)


def test_every_capability_is_said_for_every_model() -> None:
    for model in CATALOGUE:
        info = describe(model)
        assert info.capabilities.batch.supported
        assert info.max_tokens <= info.max_input_tokens


def test_an_empty_page_has_no_ends() -> None:
    assert json.loads(encode_page([], has_more=False)) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }
