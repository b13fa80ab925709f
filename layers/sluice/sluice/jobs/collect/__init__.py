"""From the results of a batch to the parts of a job: ordered, decided on, accounted for."""
