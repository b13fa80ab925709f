"""What `make local` prints once the stack is up: how to use each door, with calls to copy."""

import json
from pathlib import Path

from local.emulator import CREDENTIALS
from local.facts import StackFacts
from simulator.words import WORDS

GUIDE = """\
Sluice is up: the template as deployed, on this machine. Stop it with Ctrl-C.

In another terminal:
  export SLUICE_KEY={key}
  export {aws}

Stream an answer
  curl -N {stream_url}/v1/messages -H "x-api-key: $SLUICE_KEY" -H 'content-type: application/json' \\
    -H 'accept: text/plain' -d '{{"prompt": "Why is the sky blue?"}}'
  Or any Anthropic SDK: anthropic.Anthropic(base_url="{stream_url}", api_key=os.environ["SLUICE_KEY"])

Drop a file, and get the answers
  echo '{line}' > questions.jsonl
  aws s3 cp questions.jsonl s3://{inbox}/
  aws s3 ls --recursive s3://{outbox}/
  aws sqs receive-message --wait-time-seconds 20 --queue-url {notifications}
  Without the AWS CLI: curl -T questions.jsonl {endpoint}/{inbox}/questions.jsonl; curl {endpoint}/{outbox}

Queue a task, and get its answer
  curl {api_url}/v1/tasks -H "x-api-key: $SLUICE_KEY" -H 'content-type: application/json' \\
    -d '{{"prompt": "Why is the sky blue?"}}'
  curl {api_url}/v1/tasks -H "x-api-key: $SLUICE_KEY"

Claude is {claude}
All of this as JSON: {facts}    Logs: {logs}
"""


STEERED = f". Words in a prompt that steer its answers: {', '.join(WORDS)}"


def guide(facts: StackFacts, facts_file: Path, model: str, is_simulated: bool) -> str:
    """The text for a person, whose calls work as they stand once the exports are made."""
    question = {"role": "user", "content": "Why is the sky blue?"}
    line = {"custom_id": "sky", "params": {"model": model, "max_tokens": 300, "messages": [question]}}
    claude = f"{'a simulator' if is_simulated else 'the server'} at {facts.claude_base_url}"
    variables = {**CREDENTIALS, "AWS_ENDPOINT_URL": facts.aws_endpoint_url}
    return GUIDE.format(
        key=facts.client_key or "none-needed",
        aws=" ".join(f"{name}={value}" for name, value in variables.items()),
        stream_url=facts.stream_url,
        api_url=facts.api_url,
        endpoint=facts.aws_endpoint_url,
        line=json.dumps(line),
        inbox=facts.inbox_bucket,
        outbox=facts.outbox_bucket,
        notifications=facts.notifications_queue_url,
        claude=f"{claude}{STEERED if is_simulated else ''}",
        facts=facts_file,
        logs=facts.log_dir,
    )
