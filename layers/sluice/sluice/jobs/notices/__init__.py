"""Telling people and machines what became of a job."""
