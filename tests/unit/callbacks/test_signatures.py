from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from sluice.callbacks.signatures import BadWebhookSecret, WebhookSecrets, sign

CURRENT, NEXT = (f"whsec_{base64.b64encode(bytes([each]) * 32).decode()}" for each in (1, 2))


def signed(secrets: WebhookSecrets, body: bytes) -> dict[str, str]:
    now = int(time.time())
    signature = sign(secrets.keys, "msg_1", now, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signature}


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3))
def test_the_library_of_the_specification_accepts_what_is_signed(document: dict[str, str]) -> None:
    body = json.dumps(document, ensure_ascii=True).encode()
    secrets = WebhookSecrets.parse(json.dumps({"current": CURRENT, "previous": None}))
    assert Webhook(CURRENT).verify(body, signed(secrets, body)) == document


def test_both_secrets_verify_while_a_rotation_lasts() -> None:
    secrets = WebhookSecrets.parse(json.dumps({"current": NEXT, "previous": CURRENT}))
    headers = signed(secrets, b"{}")
    assert headers["webhook-signature"].count("v1,") == 2
    assert Webhook(CURRENT).verify(b"{}", headers) == {}
    assert Webhook(NEXT).verify(b"{}", headers) == {}


def test_the_old_secret_no_longer_verifies_after_a_rotation() -> None:
    secrets = WebhookSecrets.parse(json.dumps({"current": NEXT}))
    with pytest.raises(WebhookVerificationError):
        Webhook(CURRENT).verify(b"{}", signed(secrets, b"{}"))


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    # Standard Webhooks: the example that its libraries are tested with.
    secrets = WebhookSecrets.parse('{"current": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}')
    signature = sign(secrets.keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_generated_secret_without_a_prefix_is_taken() -> None:
    assert WebhookSecrets.parse('{"previous": null, "current": "abcdefghijklmnopqrstuvwxyzABCDEF"}').keys


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_abc",
        "[]",
        "{}",
        '"text"',
        '{"current": "whsec_c2hvcnQ="}',
        '{"current": "whsec_***"}',
        '{"current": 5}',
    ],
)
def test_a_secret_that_cannot_sign_is_named_and_not_shown(text: str) -> None:
    with pytest.raises(BadWebhookSecret) as caught:
        WebhookSecrets.parse(text)
    assert "c2hvcnQ" not in str(caught.value)
