"""What is kept is encrypted, private, reachable over TLS only, and cleaned up."""

from __future__ import annotations

from typing import Any

import pytest

from local.template import Template

BUCKETS = ("Inbox", "Outbox")


def bucket(template: Template, name: str) -> Any:
    return template.resources[name]["Properties"]


def lifecycle_rules(template: Template, name: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = bucket(template, name)["LifecycleConfiguration"]["Rules"]
    return [rule for rule in rules if rule["Status"] == "Enabled"]


def test_there_are_two_buckets_so_that_a_result_cannot_start_a_run(template: Template) -> None:
    assert sorted(template.of_type("AWS::S3::Bucket")) == sorted(BUCKETS)
    assert "NotificationConfiguration" not in bucket(template, "Outbox")


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_blocks_public_access(template: Template, name: str) -> None:
    block = bucket(template, name)["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_encrypted(template: Template, name: str) -> None:
    rules = bucket(template, name)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert [rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules] == ["AES256"]


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_refuses_what_does_not_come_over_tls(template: Template, name: str) -> None:
    policies = template.of_type("AWS::S3::BucketPolicy").values()
    [policy] = [policy for policy in policies if policy["Bucket"] == {"Ref": name}]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [{"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}/*"}]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("name", BUCKETS)
def test_uploads_that_were_never_completed_are_dropped(template: Template, name: str) -> None:
    rules = [rule for rule in lifecycle_rules(template, name) if "AbortIncompleteMultipartUpload" in rule]
    assert [rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in rules] == [2]


def test_work_files_expire_and_results_do_not(template: Template) -> None:
    expiring = [rule for rule in lifecycle_rules(template, "Outbox") if "ExpirationInDays" in rule]
    assert [rule["Prefix"] for rule in expiring] == ["work/"]


def test_work_files_outlive_the_answers_that_are_kept_in_them(template: Template) -> None:
    [days] = [r["ExpirationInDays"] for r in lifecycle_rules(template, "Outbox") if "ExpirationInDays" in r]
    assert days * 24 > template.parameters["TaskTtlHours"]["MaxValue"]


def test_the_inbox_keeps_versions_for_a_while(template: Template) -> None:
    assert bucket(template, "Inbox")["VersioningConfiguration"] == {"Status": "Enabled"}
    assert any("NoncurrentVersionExpiration" in rule for rule in lifecycle_rules(template, "Inbox"))


@pytest.mark.parametrize("name", [*BUCKETS, "Table"])
def test_what_people_own_survives_the_stack(template: Template, name: str) -> None:
    assert template.resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert template.resources[name]["UpdateReplacePolicy"] == "Retain"


def test_nothing_that_survives_the_stack_keeps_its_name_from_the_next_one(template: Template) -> None:
    """CloudFormation gives names of its own, with a random end, to what has none (CloudFormation: Name type)."""
    kept = [one["Properties"] for one in template.resources.values() if "Retain" in one.get("DeletionPolicy", "")]
    assert len(kept) == 3
    assert [each for each in kept if {"BucketName", "TableName"} & each.keys()] == []


def test_every_upload_is_told_of_whatever_its_name(template: Template) -> None:
    notifications = bucket(template, "Inbox")["NotificationConfiguration"]
    assert notifications == {
        "QueueConfigurations": [{"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["PlanQueue", "Arn"]}}]
    }


def test_only_buckets_of_this_account_may_tell_of_uploads(template: Template) -> None:
    [statement] = template.resources["PlanQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Condition"] == {
        "ArnLike": {"aws:SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:s3:::*"}},
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
    }
    # S3 asks the queue whether it may send before the bucket is made.
    assert template.resources["Inbox"]["DependsOn"] == "PlanQueuePolicy"


def test_the_table_is_on_demand_encrypted_recoverable_and_forgets(template: Template) -> None:
    [table] = template.of_type("AWS::DynamoDB::Table").values()
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_index_holds_whole_items_of_what_is_open(template: Template) -> None:
    [index] = template.resources["Table"]["Properties"]["GlobalSecondaryIndexes"]
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["open", "open_at"]
    assert index["Projection"] == {"ProjectionType": "ALL"}


def test_the_webhook_secret_is_the_base64_of_at_least_24_bytes(template: Template) -> None:
    generated = template.resources["WebhookSecret"]["Properties"]["GenerateSecretString"]
    assert generated["PasswordLength"] * 6 // 8 >= 24
    assert generated["PasswordLength"] % 4 == 0
    # string.punctuation, written out: ExcludePunctuation is not known everywhere.
    assert set(generated["ExcludeCharacters"]) == set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def test_the_topic_is_encrypted_with_a_key_that_alarms_may_use(template: Template) -> None:
    assert template.resources["CompletionTopic"]["Properties"]["KmsMasterKeyId"] == {"Ref": "TopicKey"}
    statements = template.resources["TopicKey"]["Properties"]["KeyPolicy"]["Statement"]
    [alarms] = [s for s in statements if s["Principal"] == {"Service": "cloudwatch.amazonaws.com"}]
    assert alarms["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
