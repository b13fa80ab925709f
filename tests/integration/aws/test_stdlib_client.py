"""The light client against a server that speaks the services' protocols, and against servers that fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3
import pytest
from moto.server import ThreadedMotoServer

from sluice.aws.dynamodb import Key, Put, Table, Update
from sluice.aws.sigv4 import Credentials
from sluice.aws.stdlib_client import AwsAccess, DynamoDb, SecretsManager, ServiceError
from sluice.errors import AwsError, AwsUnavailable, ConditionFailed

CREDENTIALS = Credentials("test", "test")


@pytest.fixture(scope="module")
def access() -> Iterator[AwsAccess]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    access = AwsAccess("us-east-1", CREDENTIALS, f"http://{host}:{port}")
    client: Any = boto3.client("dynamodb", endpoint_url=access.endpoint_url, region_name="us-east-1")
    client.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    secrets: Any = boto3.client("secretsmanager", endpoint_url=access.endpoint_url, region_name="us-east-1")
    secrets.create_secret(Name="s", SecretString="value")
    yield access
    server.stop()


@pytest.fixture
def table(access: AwsAccess) -> Table:
    return Table(DynamoDb(access), "t")


def test_every_kind_of_value_comes_back_as_it_was(table: Table) -> None:
    item = {
        "pk": "a",
        "sk": "values",
        "text": "naïve 🦊",
        "count": -3,
        "cost": 0.125,
        "yes": True,
        "bytes": b"\x00\xff",
        "list": [1, {"deep": ["x"]}],
    }

    table.put(Put(item))

    assert table.get(Key("a", "values")) == item
    assert table.get(Key("a", "nothing")) is None


def test_the_tables_calls_work_over_it(table: Table) -> None:
    for number in range(5):
        table.put(Put({"pk": "b", "sk": f"E#{number}", "number": number}))

    changed = table.update(Update(Key("b", "E#1"), add={"number": 10}, where={"number": 1}))
    table.transact(Update(Key("b", "E#2"), set={"number": 0}), Put({"pk": "b", "sk": "F", "number": 9}))
    table.delete(Key("b", "E#0"))

    assert changed["number"] == 11
    assert [item["number"] for item in table.query("b", "E#")] == [11, 0, 3, 4]
    assert [item["sk"] for item in table.query_between("b", "E#2", "E#3")] == ["E#2", "E#3"]
    assert next(table.query_between("b", "E#0", "E#9", newest_first=True, limit=1))["sk"] == "E#4"


def test_a_condition_that_does_not_hold_is_told(table: Table) -> None:
    table.put(Put({"pk": "c", "sk": "c", "state": "x"}))

    for change in (Put({"pk": "c", "sk": "c"}), Update(Key("c", "c"), set={"state": "z"}, where={"state": "y"})):
        with pytest.raises(ConditionFailed):
            table.put(change) if isinstance(change, Put) else table.update(change)
        with pytest.raises(ConditionFailed):
            table.transact(change)


def test_an_error_of_the_service_has_the_shape_of_botocores(access: AwsAccess) -> None:
    with pytest.raises(ServiceError) as caught:
        DynamoDb(access).get_item(TableName="not-there", Key={"pk": {"S": "x"}, "sk": {"S": "x"}})

    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_secret_is_read(access: AwsAccess) -> None:
    assert SecretsManager(access).get_secret_value(SecretId="s")["SecretString"] == "value"


class Failing(BaseHTTPRequestHandler):
    """Answers from a script: a status with a body, or a broken connection."""

    protocol_version = "HTTP/1.1"
    script: ClassVar[list[tuple[int, dict[str, str]] | None]] = []
    connections: ClassVar[set[int]] = set()
    calls: ClassVar[int] = 0

    def do_POST(self) -> None:
        type(self).calls += 1
        self.connections.add(self.client_address[1])
        self.rfile.read(int(self.headers["content-length"]))
        step = self.script.pop(0) if self.script else (200, {})
        if step is None:
            self.close_connection = True
            return
        body = json.dumps(step[1]).encode()
        self.send_response(step[0])
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def failing() -> Iterator[Table]:
    Failing.script, Failing.calls = [], 0
    Failing.connections.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    access = AwsAccess("us-east-1", CREDENTIALS, f"http://127.0.0.1:{server.server_port}")
    client = DynamoDb(access, sleep=lambda seconds: None)
    yield Table(client, "t", sleep=lambda seconds: None)
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()


THROTTLED = (400, {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slow down"})
CONFLICT = (400, {"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "message": "busy"})


@pytest.mark.parametrize("step", [None, (500, {}), (503, {}), THROTTLED, CONFLICT])
def test_what_passes_is_tried_again(failing: Table, step: Any) -> None:
    Failing.script[:] = [step, step]

    failing.put(Put({"pk": "a", "sk": "a"}))

    assert Failing.calls == 3


@pytest.mark.parametrize("step", [None, (500, {}), THROTTLED])
def test_what_does_not_pass_is_given_up(failing: Table, step: Any) -> None:
    Failing.script[:] = [step] * 9

    with pytest.raises(AwsUnavailable):
        failing.put(Put({"pk": "a", "sk": "a"}))

    assert Failing.calls == 3


def test_what_is_wrong_is_not_tried_again(failing: Table) -> None:
    Failing.script[:] = [(400, {"__type": "x#ValidationException", "message": "no"})]

    with pytest.raises(AwsError, match="ValidationException: no"):
        failing.put(Put({"pk": "a", "sk": "a"}))

    assert Failing.calls == 1


def test_a_connection_is_kept_between_calls(failing: Table) -> None:
    for _ in range(4):
        failing.put(Put({"pk": "a", "sk": "a"}))

    assert len(Failing.connections) == 1


def test_a_server_that_is_not_there_is_unavailable() -> None:
    access = AwsAccess("us-east-1", CREDENTIALS, "http://127.0.0.1:9")

    with pytest.raises(AwsUnavailable):
        Table(DynamoDb(access, sleep=lambda seconds: None), "t").get(Key("a", "a"))


def test_the_environment_says_where_and_as_whom() -> None:
    access = AwsAccess.from_env({"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})

    assert access == AwsAccess("eu-west-1", Credentials("a", "b"), None)
