"""The batch door: beside the loops of the SDK's documentation, at each size, from end to end, and what it costs."""
