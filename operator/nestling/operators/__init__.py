"""The Kopf registries: which kinds feed which cache and queue."""
