"""One look a minute at all open work: batches that have ended, jobs that do not move, notices that are due."""
