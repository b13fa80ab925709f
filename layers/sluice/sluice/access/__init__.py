"""Client keys: who may call a door that is open to the internet, and how much."""
