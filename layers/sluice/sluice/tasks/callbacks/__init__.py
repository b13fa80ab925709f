"""Calling back: what is sent, how it is signed, to which addresses, and when it is tried again."""
