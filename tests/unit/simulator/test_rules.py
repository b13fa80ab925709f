from simulator.rules import Entry, Match, Rule, RuleBook, Subject, matches

CALL = Subject(
    operation="messages",
    method="POST",
    path="/v1/messages",
    headers={"anthropic-beta": "files-2026,other"},
    key="sk-1",
    model="claude-sonnet-5",
    prompt="Tell me of the sea",
    stream=True,
)


def test_a_match_without_conditions_holds_for_any_call() -> None:
    assert matches(Match(), CALL)
    assert matches(Match(), Subject())


def test_all_conditions_must_hold() -> None:
    match = Match(operation="messages", method="post", path="/v1/mess.*", key="sk-1", prompt="the sea", stream=True)
    assert matches(match, CALL)
    assert not matches(Match(operation="messages", prompt="the sky"), CALL)


def test_the_path_is_matched_whole_and_a_header_by_a_part() -> None:
    assert not matches(Match(path="/v1"), CALL)
    assert matches(Match(headers={"Anthropic-Beta": "files-\\d+"}), CALL)
    assert not matches(Match(headers={"x-other": "."}), CALL)


def test_a_custom_id_is_matched_whole() -> None:
    assert matches(Match(custom_id="a-\\d+"), Subject(custom_id="a-12"))
    assert not matches(Match(custom_id="a-\\d"), Subject(custom_id="a-12"))


def test_skip_and_times_bound_where_a_rule_acts() -> None:
    entry = Entry("r", Rule(skip=2, times=3))
    assert [entry.take() for _ in range(7)] == [False, False, True, True, True, False, False]
    assert (entry.matched, entry.acted) == (7, 3)


def test_a_share_is_about_right_and_the_same_in_each_run() -> None:
    picks = [[Entry("r", Rule(share=0.2, seed=7)).take_request(number, 1) for number in range(5_000)] for _ in range(2)]
    assert picks[0] == picks[1]
    assert 800 < sum(picks[0]) < 1_200


def test_another_seed_picks_others() -> None:
    first, second = (
        [Entry("r", Rule(share=0.5, seed=seed)).take_request(number, 1) for number in range(100)] for seed in (1, 2)
    )
    assert first != second


def test_times_of_requests_are_counted_by_request_and_batch() -> None:
    entry = Entry("r", Rule(times=1))
    assert entry.take_request(11, batch=1)
    assert entry.take_request(11, batch=1), "the same request twice in one batch fares alike"
    assert entry.take_request(22, batch=2)
    assert not entry.take_request(11, batch=2)


def test_rules_are_cleared_one_by_one_or_all() -> None:
    book: RuleBook[Rule] = RuleBook("rule")
    first, second = book.add([Rule(), Rule(times=1)])
    book.clear(first)
    assert [entry.id for entry in book.entries] == [second]
    book.clear()
    assert book.entries == []
    assert book.add([Rule()]) == ["rule_3"]
