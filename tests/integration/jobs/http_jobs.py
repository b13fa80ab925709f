"""The routes of jobs as callers use them: signed by a user or a role, or with a client key; and files sent by links."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3

from sluice.access.store import KeyStore, KeyTerms
from sluice.jobs.model import Upload
from tests.integration.jobs.world import World, notification
from tests.world.aws import ACCOUNT, client

HOST = "test.lambda-url.us-east-1.on.aws"
OPERATOR, ADA, EVE = "user/tester", "user/ada", "user/eve"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.body["error"]["type"]


@dataclass
class Api:
    """``who`` is a user or role, such as "user/ada", or the text of a client key."""

    world: World
    who: str = ADA
    crashed: bool = field(default=False, init=False)

    def as_(self, who: str) -> Api:
        return Api(self.world, who)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        answer = self.world.invoke("serve_api", self._event(method, path, body, headers or {}))
        assert answer is not None
        named = {name.lower(): value for name, value in answer.get("headers", {}).items()}
        return Answer(answer["statusCode"], named, json.loads(answer["body"]) if answer.get("body") else {})

    def _event(self, method: str, path: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
        path, _, query = path.partition("?")
        http = {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1", "userAgent": "test"}
        context: dict[str, Any] = {"http": http, "accountId": ACCOUNT, "stage": "$default", "domainName": HOST}
        if self.who.startswith("sk-"):
            headers = {"x-api-key": self.who, **headers}
        else:
            arn = f"arn:aws:{'sts' if self.who.startswith('assumed') else 'iam'}::{ACCOUNT}:{self.who}"
            context["authorizer"] = {"iam": {"userArn": arn, "accountId": ACCOUNT}}
        event: dict[str, Any] = {"version": "2.0", "rawPath": path, "rawQueryString": query, "requestContext": context}
        event["headers"] = {"host": HOST, **headers}
        if query:
            event["queryStringParameters"] = {name: ",".join(each) for name, each in parse_qs(query).items()}
        if isinstance(body, bytes):
            return event | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        return event | ({"body": body if isinstance(body, str) else json.dumps(body)} if body is not None else {})

    def announce(self, **fields: Any) -> Answer:
        """Announce a job; it has to be taken."""
        answer = self.call("POST", "/v1/jobs", fields)
        assert answer.status == 201, answer.body
        return answer

    def upload(self, data: bytes, name: str = "rivers.jsonl", **fields: Any) -> str:
        """Announce a file and send it; return the job's id."""
        answer = self.announce(filename=name, size=len(data), **fields)
        send_by_link(self.world, answer.body["upload"]["url"], data)
        return str(answer.body["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"/v1/jobs/{job_id}")
        assert answer.status == 200, answer.body
        return answer.body

    def ids(self, query: str = "") -> list[str]:
        return [job["id"] for job in self.call("GET", f"/v1/jobs{query}").body["data"]]


def make_key(world: World, name: str, **terms: Any) -> str:
    """Make a client key; return its text."""
    return KeyStore(world.dynamodb).create(KeyTerms(name, **terms)).text


@dataclass(frozen=True)
class Link:
    """What a link allows: on which object, for how long, what has to be sent with it."""

    bucket: str
    key: str
    seconds: int
    signed_headers: str
    query: dict[str, str]


def parse_link(url: str) -> Link:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    path = unquote(parts.path).lstrip("/")
    bucket = parts.netloc.partition(".")[0]
    if bucket == "s3":
        bucket, _, path = path.partition("/")
    return Link(bucket, path, int(query["X-Amz-Expires"]), query["X-Amz-SignedHeaders"], query)


def send_by_link(world: World, url: str, data: bytes, *, notify: bool = True) -> None:
    """Send a file as whoever has the link does; S3 tells the plan queue of it."""
    link = parse_link(url)
    put = boto3.client("s3").put_object(Bucket=link.bucket, Key=link.key, Body=data)
    tell_of(world, link.key, put, len(data), notify=notify)


def send_part(url: str, data: bytes) -> None:
    link = parse_link(url)
    client("s3").upload_part(
        Bucket=link.bucket,
        Key=link.key,
        UploadId=link.query["uploadId"],
        PartNumber=int(link.query["partNumber"]),
        Body=data,
    )


def tell_of(world: World, key: str, put: Mapping[str, Any], size: int, *, notify: bool = True) -> None:
    if notify:
        bucket = world.resources.ids["Inbox"]
        upload = Upload(bucket, key, put.get("VersionId"), put["ETag"].strip('"'), size)
        world.queues.send("PlanQueue", notification(upload))
