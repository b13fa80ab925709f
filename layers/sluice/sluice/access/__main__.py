"""Run the console with boto3's own way to find credentials."""

import os
import sys
from typing import cast

import boto3

from sluice.access.cli import main
from sluice.aws.dynamodb import DynamoDbClient

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, cast(DynamoDbClient, boto3.client("dynamodb")), sys.stdout))
