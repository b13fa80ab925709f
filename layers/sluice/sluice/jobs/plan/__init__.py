"""From a dropped file to shards: the lines checked, counted, priced and cut."""
