"""The imports of a function that is built the ordinary way: SDK, boto3, Powertools with a tracer."""

import boto3
from anthropic import Anthropic
from aws_lambda_powertools import Logger, Metrics, Tracer

logger = Logger(service="bench")
metrics = Metrics(namespace="bench", service="bench")
tracer = Tracer(service="bench")
table = boto3.client("dynamodb", region_name="us-east-1")
secrets = boto3.client("secretsmanager", region_name="us-east-1")
client = Anthropic(base_url="http://127.0.0.1:9", api_key="none")
