"""The kinds of files that can be dropped, each read as a stream of requests."""
