"""The end of a job: parts joined, books balanced, the outcome written down."""
