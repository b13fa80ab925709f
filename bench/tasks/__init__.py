"""The task door: what a caller waits, and how long a task takes from the queue to its callback."""
