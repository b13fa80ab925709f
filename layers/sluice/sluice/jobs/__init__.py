"""The batch door: from a dropped file to its results."""
