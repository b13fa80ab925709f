"""The door under clients that are not Python: the TypeScript SDK, curl, and a page in a browser."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from simulator.client import Break, Match, Reply
from tests.integration.streams.door import MODEL, DoorMaker, StreamDoor

ROOT = Path(__file__).resolve().parents[3]
TYPESCRIPT_SDK = "@anthropic-ai/sdk@1.10.0"
NEEDS_NODE = pytest.mark.skipif(
    not (shutil.which("node") and shutil.which("npm")), reason="node or npm is not installed"
)
NEEDS_CURL = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
NEEDS_BROWSER = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")


@pytest.fixture(scope="session")
def typescript_sdk() -> Path:
    folder = ROOT / ".local" / "typescript-sdk"
    if not (folder / "node_modules" / "@anthropic-ai" / "sdk").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", TYPESCRIPT_SDK]
        subprocess.run(command, cwd=folder, check=True, timeout=100)
    return folder


@NEEDS_NODE
def test_the_typescript_sdk(stack: StreamDoor, typescript_sdk: Path) -> None:
    stack.simulator.fail(Break(how="reset", after_events=6), Match(prompt="Be cut"))
    stack.simulator.fail(Break(how="reset", after_events=7), Match(prompt="Go on"), times=1)
    stack.simulator.answer(Reply(text="One two three four five."), Match(prompt="Go on"), times=1)
    stack.simulator.answer(Reply(text=" And so on."), Match(prompt="Go on"))
    script = typescript_sdk / "client.mjs"
    script.write_text(Path(__file__).with_name("typescript_client.mjs").read_text())

    environment = {"URL": stack.url, "KEY": stack.key, "MODEL": MODEL, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    node = shutil.which("node") or "node"
    done = subprocess.run([node, script], env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["whole"] == seen["helper"]
    assert (seen["events"][0], seen["events"][-1]) == ("message_start", "message_stop")
    assert isinstance(seen["tool"]["word"], str)
    assert seen["thinking"] is True
    assert seen["model"] == MODEL
    assert seen["cut"] == "api_error"
    assert seen["continued"] == ["One two three four And so on."]


@NEEDS_CURL
def test_curl_shows_text_as_it_is_written(stack: StreamDoor) -> None:
    stack.simulator.answer(Reply(text=" ".join(["word"] * 20), events_per_second=20))
    command = ["curl", "-sN", f"{stack.url}/v1/messages", "-H", f"x-api-key: {stack.key}", "-H", "Accept: text/plain"]

    with subprocess.Popen([*command, "-d", '{"prompt": "Say it"}'], stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        first = curl.stdout.read(4)
        running = curl.poll() is None
        rest = curl.stdout.read()

    assert running, "the first word is there before the last"
    assert (first + rest).decode() == " ".join(["word"] * 20) + "\n"


PAGE = """<!doctype html><title>waiting</title><body><script>
const ask = { model: "%(model)s", max_tokens: 500, stream: true, messages: [{ role: "user", content: "Hello" }] };
fetch("%(url)s/v1/messages", {
  method: "POST",
  headers: { "content-type": "application/json", "x-api-key": "%(key)s", "anthropic-version": "2023-06-01" },
  body: JSON.stringify(ask),
}).then(async (response) => {
  const text = await response.text();
  document.body.textContent = JSON.stringify({
    status: response.status, requestId: response.headers.get("request-id"), complete: text.includes("message_stop") });
}).catch((error) => { document.body.textContent = JSON.stringify({ error: String(error) }); });
</script></body>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", tmp_path
    server.shutdown()
    thread.join()
    server.server_close()


@NEEDS_BROWSER
@pytest.mark.parametrize("allowed", [True, False])
def test_a_page_of_another_origin_reads_the_stream_only_if_it_may(
    make_stack: DoorMaker, simulator: object, site: tuple[str, Path], allowed: bool
) -> None:
    origin, folder = site
    with make_stack(allowed_origins=origin if allowed else "https://other.example") as stack:
        (folder / "page.html").write_text(PAGE % {"url": stack.url, "key": stack.key, "model": MODEL})
        command = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=8000",
            "--dump-dom",
        ]
        done = subprocess.run(
            [*command, f"{origin}/page.html"], capture_output=True, text=True, timeout=90, check=False
        )

    shown = json.loads(done.stdout[done.stdout.index("{") : done.stdout.rindex("}") + 1])
    if allowed:
        assert shown["status"] == 200
        assert shown["requestId"].startswith("req_")
        assert shown["complete"] is True
    else:
        assert "Failed to fetch" in shown["error"]
