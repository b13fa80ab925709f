"""Claude's API: what its errors and events mean, what it costs, and the one client that calls it."""
