"""The requests of a shard, read from where they lie, as the body of a call or again for a later wave."""
