"""Claude behind three doors of an AWS account: streams, jobs and tasks."""
