"""Deleting a job: what is kept of it here, and its batches at Claude."""
