"""The signer, held against botocore's."""

from __future__ import annotations

import datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.aws.sigv4 import Credentials, sign

TIMESTAMP = "20261122T193000Z"


def botocore_signature(
    credentials: Credentials, headers: dict[str, str], body: bytes, monkeypatch: pytest.MonkeyPatch
) -> str:
    now = datetime.datetime(2026, 11, 22, 19, 30, tzinfo=datetime.UTC).replace(tzinfo=None)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now)
    request = AWSRequest("POST", f"https://{headers['host']}/", headers={**headers}, data=body)
    signer = SigV4Auth(
        BotocoreCredentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token),
        "dynamodb",
        "eu-west-1",
    )
    signer.add_auth(request)
    return str(request.headers["Authorization"])


@pytest.mark.parametrize("token", [None, "a-session-token"])
@given(body=st.binary(max_size=200), target=st.from_regex(r"[A-Za-z0-9_.]{1,40}", fullmatch=True))
@settings(max_examples=30)
def test_a_signature_is_the_one_that_botocore_makes(token: str | None, body: bytes, target: str) -> None:
    credentials = Credentials("AKIAEXAMPLE", "secret", token)
    headers = {
        "host": "dynamodb.eu-west-1.amazonaws.com",
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": target,
    }

    signed = sign(credentials, service="dynamodb", region="eu-west-1", headers=headers, body=body, timestamp=TIMESTAMP)

    with pytest.MonkeyPatch.context() as monkeypatch:
        assert signed["authorization"] == botocore_signature(credentials, headers, body, monkeypatch)
    assert signed.get("x-amz-security-token") == token


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Credentials("AKIA", "secret", "token-of-session")).replace("secret_access_key", "")
