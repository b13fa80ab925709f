"""A shard becomes one Message Batch, made and paid for once."""
