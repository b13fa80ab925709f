"""Run the console with boto3's own way to find credentials."""

import os
import sys

import boto3

from sluice.access.console import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, boto3.client("dynamodb"), sys.stdout))
