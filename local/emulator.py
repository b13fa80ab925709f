"""The AWS emulator: how it is started, and how it is reached.

MiniStack runs in an environment of its own, so that no function can lean on what it installs, and is given nothing of
ours: all that it finds in its environment reaches the functions.
"""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from local import children
from local.template import ROOT

MINISTACK = ROOT / ".local/emulator/bin/ministack"
REGION = "us-east-1"
READY_SECONDS = 30.0
# Any credentials do. These are also what its own documentation uses.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator."""

    url: str
    child: children.Child

    @property
    def environ(self) -> dict[str, str]:
        """The variables that point any AWS client at it."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    # A client of boto3 has the methods of its service, which its type does not say here.
    def client(self, service: str) -> Any:
        """A boto3 client of a service."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # the stubs know a service by a literal name only
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(signature_version="s3v4", read_timeout=900, retries={"max_attempts": 0}),
        )

    def environ_of_role(self, role_arn: str) -> dict[str, str]:
        """The same with the credentials of a role, which last for an hour."""
        given = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="local")["Credentials"]
        return {
            **self.environ,
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    def function_url(self, output: str) -> str:
        """Where the emulator answers for a Function URL, whose name it gives as if it were on AWS."""
        name = (urlsplit(output).hostname or "").split(".")[0]
        return f"{self.url}/_aws/lambda-url/{name}"


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_emulator(port: int, scratch: Path, log_dir: Path, enforces_policies: bool = False) -> Iterator[Emulator]:
    """Run the emulator, ready to be used, for as long as the block; port 0 takes a free one. Raises ChildFailed.

    With ``enforces_policies``, the functions get the credentials of their roles, and are refused what these may not do.
    """
    port = port or free_port()
    environ = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LC_ALL": "C.UTF-8",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AUTH": "true" if enforces_policies else "false",
    }
    # Asked to stop, it waits for functions that run. All that it knows is in memory, so there is nothing to wait for.
    with children.running("emulator", [str(MINISTACK)], environ, log_dir, scratch, grace_seconds=0) as child:
        emulator = Emulator(f"http://127.0.0.1:{port}", child)
        _wait_until_ready(emulator, port)
        yield emulator


def _wait_until_ready(emulator: Emulator, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if not emulator.child.is_running():
            raise emulator.child.failure(f"ended before it answered at {emulator.url}")
        if _answers(port):
            return
        time.sleep(0.05)
    raise emulator.child.failure(f"did not answer at {emulator.url} within {READY_SECONDS:g} s")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
