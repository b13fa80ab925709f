"""HTTP as the doors speak it: requests read, errors in the shape of Claude's API, the frame of the API door."""
