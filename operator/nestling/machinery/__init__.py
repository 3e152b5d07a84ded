"""What every loop stands on: client, cache, queue, plan, executor and their kin."""
