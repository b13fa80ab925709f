"""The kinds of files that can be dropped, each read as batches of checked requests."""
