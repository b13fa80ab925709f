"""The end of a job: its parts joined, its totals checked, its files and its notice written."""
