"""Message Batches: made once for each shard and wave, and followed until they have ended."""
