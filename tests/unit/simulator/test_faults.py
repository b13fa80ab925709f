from simulator.faults import NO_FAULTS, Delay, Fault, Refuse, Result, faults_of_call, result_entries, result_of_request
from simulator.rules import Match, RuleBook, Subject

CALL = Subject(operation="messages", method="POST", path="/v1/messages")


def test_the_first_rule_of_each_type_acts() -> None:
    book: RuleBook[Fault] = RuleBook("fault")
    book.add(
        [
            Fault(action=Refuse(status=500), match=Match(operation="count_tokens")),
            Fault(action=Refuse(status=529)),
            Fault(action=Refuse(status=429)),
            Fault(action=Delay(seconds=1)),
        ]
    )
    faults = faults_of_call(book, CALL)
    assert faults.get(Refuse) == Refuse(status=529)
    assert faults.get(Delay) == Delay(seconds=1)
    assert faults.rules == ("fault_2", "fault_4")


def test_a_used_up_rule_makes_way_for_the_next() -> None:
    book: RuleBook[Fault] = RuleBook("fault")
    book.add([Fault(action=Refuse(status=529), times=1), Fault(action=Refuse(status=429))])
    statuses = [refuse.status for _ in range(2) if (refuse := faults_of_call(book, CALL).get(Refuse))]
    assert statuses == [529, 429]


def test_without_rules_nothing_goes_wrong() -> None:
    assert faults_of_call(RuleBook("fault"), CALL) is NO_FAULTS
    assert NO_FAULTS.get(Refuse) is None


def test_rules_about_requests_in_batches_leave_calls_alone() -> None:
    book: RuleBook[Fault] = RuleBook("fault")
    book.add([Fault(action=Result(outcome="expired"), match=Match(custom_id="a.*"))])
    assert faults_of_call(book, CALL) is NO_FAULTS
    entries = result_entries(book)
    assert result_of_request(entries, Subject(custom_id="a1"), 1, batch=1) == Result(outcome="expired")
    assert result_of_request(entries, Subject(custom_id="b1"), 2, batch=1) is None
