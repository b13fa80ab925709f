"""One look a minute at all that is open: batches that have ended, jobs that do not move, notices that are due."""
