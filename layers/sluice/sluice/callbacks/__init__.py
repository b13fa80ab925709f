"""Calling back, for tasks and jobs: how it is signed, to which addresses it may go, and when it is tried again."""
