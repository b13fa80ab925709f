"""What people may do to a job, and see of it, through the API."""
