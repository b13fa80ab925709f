"""The task door: one queued request, one signed callback."""
