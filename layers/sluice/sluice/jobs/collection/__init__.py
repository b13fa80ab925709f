"""From the results of a batch to the parts of a job: ordered, settled, accounted for."""
