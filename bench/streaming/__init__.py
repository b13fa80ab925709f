"""The streaming door: beside the ordinary way to stream from Lambda, and a soak with random faults."""
