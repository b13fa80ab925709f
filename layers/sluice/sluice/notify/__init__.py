"""Telling people and machines: what a notice is, and the channels that carry it."""
