"""What is claimed, measured beside what a user would do otherwise; bench/README.md says what came of it."""
