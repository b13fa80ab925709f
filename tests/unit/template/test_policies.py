"""Least privilege: each function may do what it does, to what it does it to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from local.template import Template, load_template
from sluice import table_keys
from tests.world.aws import Resources
from tests.world.rights import Need, Right, Rights, rights_of

FUNCTIONS = list(load_template().functions)


def statements(template: Template, function: str) -> Iterator[dict[str, Any]]:
    for policy in template.functions[function]["Policies"]:
        yield from policy["Statement"]


def actions(template: Template, function: str) -> set[str]:
    return {action for statement in statements(template, function) for action in statement["Action"]}


def resources_of(template: Template, function: str, action: str) -> list[Any]:
    found: list[Any] = []
    for statement in statements(template, function):
        if action in statement["Action"]:
            resource = statement["Resource"]
            found.extend(resource if isinstance(resource, list) else [resource])
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_policy_allows_actions_by_a_pattern(template: Template, function: str) -> None:
    assert not [action for action in actions(template, function) if "*" in action]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_policy_names_resources_of_the_stack(template: Template, function: str) -> None:
    for statement in statements(template, function):
        assert statement["Effect"] == "Allow"
        # Text by itself would be a pattern: what belongs to the stack is referred to.
        assert isinstance(statement["Resource"], (dict, list)), statement
        # Within a bucket, a folder stands for all that is in it, and a job's summary for that of any job.
        assert "*" not in str(statement["Resource"]).replace("/*'", "'").replace("/*/summary.json'", "'")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_a_queue_invokes_may_take_from_that_queue_and_no_other(
    template: Template, function: str
) -> None:
    sources = template.of_type("AWS::Lambda::EventSourceMapping").values()
    queues = [source["EventSourceArn"] for source in sources if source["FunctionName"] == {"Ref": function}]
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
        assert resources_of(template, function, action) == queues


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_told_of_a_queue_if_and_only_if_it_may_write_to_it(template: Template, function: str) -> None:
    told = {v["Ref"] for k, v in template.environment(function).items() if k.endswith("_QUEUE_URL")}
    writes = ("sqs:SendMessage", "sqs:ChangeMessageVisibility")
    queues = [queue for action in writes for queue in resources_of(template, function, action)]
    assert {queue["Fn::GetAtt"][0] for queue in queues} == told


@pytest.mark.parametrize(
    ("variable", "action"),
    [
        ("SLUICE_TOPIC_ARN", "sns:Publish"),
        ("SLUICE_TOPIC_ARN", "kms:GenerateDataKey"),
        ("SLUICE_TOPIC_ARN", "kms:Decrypt"),
        ("SLUICE_EVENT_BUS", "events:PutEvents"),
    ],
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_told_of_a_thing_if_and_only_if_it_may_use_it(
    template: Template, function: str, variable: str, action: str
) -> None:
    assert (variable in template.environment(function)) == bool(resources_of(template, function, action))


def test_only_steps_that_read_uploads_may_read_the_inbox(template: Template) -> None:
    allowed = [name for name in FUNCTIONS if "${Inbox." in str(resources_of(template, name, "s3:GetObject"))]
    assert allowed == ["PlanJob", "SubmitShard", "CollectShard", "FinishJob"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_writes_results_knows_where(template: Template, function: str) -> None:
    # Notices name the Outbox too, so knowing it does not mean writing to it.
    if resources_of(template, function, "s3:PutObject"):
        assert template.environment(function)["SLUICE_OUTBOX"] == {"Ref": "Outbox"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_reads_only_the_secrets_that_it_is_told_of(template: Template, function: str) -> None:
    environment = template.environment(function)
    told = [environment[name] for name in ("SLUICE_CLAUDE_SECRET", "SLUICE_WEBHOOK_SECRET") if name in environment]
    assert resources_of(template, function, "secretsmanager:GetSecretValue") == told


def test_only_the_end_of_a_job_writes_outside_the_work_files(template: Template) -> None:
    written = {
        (function, resource["Fn::Sub"].removeprefix("${Outbox.Arn}"))
        for function in FUNCTIONS
        for resource in resources_of(template, function, "s3:PutObject")
        if not resource["Fn::Sub"].startswith("${Outbox.Arn}/work/")
    }
    # What tells of a job that could not be run leaves its summary; a job that ran has an end of its own. Files that
    # are announced over HTTPS come into the Inbox by the right of who signs the links.
    assert written == {
        ("FinishJob", "/*"),
        ("PlanJob", "/*/summary.json"),
        ("PollBatches", "/*/summary.json"),
        ("ServeApi", "${Inbox.Arn}/*"),
    }


def test_nothing_may_change_the_stack_and_one_function_may_delete(template: Template) -> None:
    deleting = set()
    for function in FUNCTIONS:
        allowed = actions(template, function)
        assert {action.split(":")[0] for action in allowed} <= {
            "dynamodb",
            "s3",
            "sqs",
            "sns",
            "kms",
            "events",
            "secretsmanager",
        }
        deleting |= {function for action in allowed if "Delete" in action and action != "sqs:DeleteMessage"}
    assert deleting == {"DeleteJob"}


# What the rows of the page of keys begin with, and the partitions of the index, as table_keys.py lists them.
BEGINNINGS = {
    pk.partition("#")[0] + "#" for pk in re.findall(r"^    (\S+#\S+)  ", table_keys.__doc__ or "", re.MULTILINE)
}
OPEN_PARTITIONS = {
    table_keys.OPEN_JOBS,
    table_keys.OPEN_TASKS,
    table_keys.OPEN_INCIDENTS,
    table_keys.OPEN_CLIENT_KEYS,
}
JOBS = {"JOB#", "BATCH#", "ESTIMATE#", "PAUSE#", "INCIDENT#"}
# What a function may reach, and change; what is open of which kind it may list.
REACHED = {
    "StreamMessages": ({"STREAM#", "KEY#", "USAGE#", "INCIDENT#"}, {"STREAM#", "USAGE#", "INCIDENT#"}, {"INCIDENT"}),
    "PlanJob": (JOBS, JOBS | {"JOBS#"}, {"JOBS"}),
    "SubmitShard": (JOBS, JOBS, {"INCIDENT"}),
    "PollBatches": (JOBS, JOBS, {"JOBS", "INCIDENT"}),
    "CollectShard": (JOBS, JOBS, set()),
    "FinishJob": (JOBS, JOBS, set()),
    "DeleteJob": ({"JOB#", "BATCH#"}, {"JOB#", "BATCH#"}, set()),
    "ServeApi": (
        JOBS | {"JOBS#", "TASK#", "CALLER#", "IDEMPOTENCY#", "KEY#", "USAGE#"},
        JOBS | {"JOBS#", "TASK#", "CALLER#", "IDEMPOTENCY#", "USAGE#"},
        {"JOBS", "TASK", "INCIDENT"},
    ),
    "RunTask": ({"TASK#", "INCIDENT#", "KEY#", "USAGE#"}, {"TASK#", "INCIDENT#", "USAGE#"}, {"TASK", "INCIDENT"}),
    "DeliverCallback": ({"TASK#", "JOB#", "ENDPOINT#"}, {"TASK#", "JOB#", "ENDPOINT#"}, set()),
}


def table_rights(template: Template, function: str, resource: str = "Table") -> list[Right]:
    return [right for right in rights_of(template, function) if right.resource == resource]


def beginnings(template: Template, function: str, *asked: str) -> set[str]:
    """What the partition keys begin with that a function may reach by any of these actions."""
    allowed = [(right.action, each) for right in table_rights(template, function) for each in right.partitions]
    assert all(pattern.endswith("#*") for _, pattern in allowed)
    return {pattern.removesuffix("*") for action, pattern in allowed if action.removeprefix("dynamodb:") in asked}


def open_partitions(template: Template, function: str) -> set[str]:
    """What a function may list of the index of what is open."""
    of_index = table_rights(template, function, "Table/index/open")
    assert {right.action for right in of_index} <= {"dynamodb:Query"}
    return {each for right in of_index for each in right.partitions}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_reaches_the_items_of_the_table_that_are_its_own(template: Template, function: str) -> None:
    """DynamoDB: dynamodb:LeadingKeys holds the partition keys of a call. The emulator passes over it."""
    read, written, listed = REACHED[function]
    assert read | written <= BEGINNINGS
    assert beginnings(template, function, "GetItem", "Query") == read
    assert beginnings(template, function, "PutItem", "UpdateItem") == written
    assert open_partitions(template, function) == listed
    assert listed <= OPEN_PARTITIONS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_right_to_the_table_is_for_a_part_of_it(template: Template, function: str) -> None:
    for statement in statements(template, function):
        if statement["Action"][0].startswith("dynamodb:"):
            # Without keys in a call, such as in a Scan, "for all values" is true of none: no function may make one.
            names = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")
            assert set(statement["Action"]) <= {f"dynamodb:{name}" for name in names}
            [operator] = statement["Condition"]
            assert operator in ("ForAllValues:StringLike", "ForAllValues:StringEquals")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_may_write_a_client_key(template: Template, function: str) -> None:
    assert "KEY#" not in beginnings(template, function, "PutItem", "UpdateItem", "DeleteItem")
    assert "KEY" not in open_partitions(template, function)


@pytest.fixture
def watching(template: Template) -> Rights:
    ids = {"Table": "t", "Outbox": "o", "Inbox": "i", "SubmitQueue": "s", "CompletionTopic": "c", "TaskQueue": "q"}
    return Rights(Resources(template, {}, ids, {("ClaudeSecret", "Id"): "claude"}))


CLIENT_KEY = {"pk": {"S": "KEY#abc"}, "sk": {"S": "KEY"}}
JOB_KEY = {"pk": {"S": "JOB#abc"}, "sk": {"S": "JOB"}}
SUMMARY = {"Bucket": "o", "Key": "job/summary.json"}
WORK = {"Bucket": "o", "Key": "work/jobs/a"}


@pytest.mark.parametrize(
    ("function", "call", "params", "refused"),
    [
        ("stream_messages", "dynamodb.GetItem", {"TableName": "t", "Key": CLIENT_KEY}, []),
        (
            "stream_messages",
            "dynamodb.TransactWriteItems",
            {"TransactItems": [{"Update": {"TableName": "t", "Key": CLIENT_KEY}}]},
            [Need("dynamodb:UpdateItem", "Table", "KEY#abc")],
        ),
        (
            "submit_shard",
            "dynamodb.Query",
            {"TableName": "t", "IndexName": "open", "ExpressionAttributeValues": {":pk": {"S": "JOBS"}}},
            [Need("dynamodb:Query", "Table/index/open", "JOBS")],
        ),
        ("plan_job", "s3.PutObject", SUMMARY, []),
        ("submit_shard", "s3.PutObject", SUMMARY, [Need("s3:PutObject", "Outbox/job/summary.json")]),
        ("finish_job", "s3.UploadPartCopy", {**SUMMARY, "CopySource": WORK}, []),
        (
            "collect_shard",
            "s3.UploadPartCopy",
            {**WORK, "CopySource": SUMMARY},
            [Need("s3:GetObject", "Outbox/job/summary.json")],
        ),
        ("plan_job", "s3.HeadObject", {"Bucket": "i", "Key": "a", "VersionId": "1"}, []),
        ("plan_job", "s3.AbortMultipartUpload", WORK, []),
        ("submit_shard", "s3.AbortMultipartUpload", WORK, [Need("s3:AbortMultipartUpload", "Outbox/work/jobs/a")]),
        ("poll_batches", "s3.ListObjectsV2", {"Bucket": "o", "Prefix": "a"}, [Need("s3:ListBucket", "Outbox")]),
        ("plan_job", "sqs.SendMessageBatch", {"QueueUrl": "s"}, []),
        ("plan_job", "sqs.SendMessage", {"QueueUrl": "q"}, [Need("sqs:SendMessage", "TaskQueue")]),
        ("plan_job", "sqs.SendMessage", {"QueueUrl": "a test's own"}, []),
        ("plan_job", "events.PutEvents", {"Entries": [{}]}, []),
        ("serve_api", "events.PutEvents", {"Entries": [{}]}, [Need("events:PutEvents", "EventBus")]),
        ("deliver_callback", "sns.Publish", {"TopicArn": "c"}, []),
        (
            "serve_api",
            "sns.Publish",
            {"TopicArn": "c"},
            [
                Need("sns:Publish", "CompletionTopic"),
                Need("kms:GenerateDataKey", "TopicKey"),
                Need("kms:Decrypt", "TopicKey"),
            ],
        ),
        (
            "finish_job",
            "secretsmanager.GetSecretValue",
            {"SecretId": "claude"},
            [Need("secretsmanager:GetSecretValue", "ClaudeSecret")],
        ),
    ],
)
def test_a_call_that_the_policies_do_not_allow_is_noticed_by_the_tests(
    watching: Rights, function: str, call: str, params: dict[str, Any], refused: list[Need]
) -> None:
    watching.watch_function(function, call, params)
    assert [need for _, need in watching.refused] == refused


def test_what_is_not_there_is_for_those_who_may_list_its_bucket(watching: Rights) -> None:
    watching.watch_function("plan_job", "s3.GetObject", WORK, "NoSuchKey")
    assert watching.refused == []
    watching.watch_function("run_task", "s3.GetObject", {"Bucket": "o", "Key": "work/tasks/a"}, "NoSuchKey")
    assert watching.refused == [("RunTask", Need("s3:ListBucket", "Outbox"))]


def test_a_call_is_held_against_the_function_that_is_running(watching: Rights) -> None:
    put = {"TableName": "t", "Item": JOB_KEY}
    watching.watch("dynamodb.PutItem", put)
    with watching.of("plan_job"):
        watching.watch("dynamodb.PutItem", put)
    with pytest.raises(AssertionError, match="policies"), watching.of("poll_batches"):
        watching.watch("dynamodb.PutItem", put)


def test_a_call_that_no_function_makes_yet_has_to_be_made_known(watching: Rights) -> None:
    for call in ("dynamodb.Scan", "s3.DeleteObject", "sqs.PurgeQueue", "sts.AssumeRole"):
        with pytest.raises(ValueError, match="is not known to"):
            watching.watch_function("plan_job", call, {"Bucket": "o"})


@pytest.mark.parametrize(
    ("policy", "function"), [("StreamCallerPolicy", "StreamMessages"), ("ApiCallerPolicy", "ServeApi")]
)
def test_whoever_may_call_one_door_by_iam_may_not_call_the_other(
    template: Template, policy: str, function: str
) -> None:
    resource = template.resources[policy]
    assert resource["Condition"] == "DoorsAreSigned"
    by_url, invoke = resource["Properties"]["PolicyDocument"]["Statement"]
    assert (by_url["Action"], invoke["Action"]) == (["lambda:InvokeFunctionUrl"], ["lambda:InvokeFunction"])
    # Invoked by its name, a function would believe whatever the event says of the caller.
    assert invoke["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    assert by_url["Resource"] == invoke["Resource"] == {"Fn::GetAtt": [function, "Arn"]}
