"""Collecting the results of a batch: downloaded, put in the order of the input, decided on, written."""
