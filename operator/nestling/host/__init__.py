"""Find or start a host cluster for development."""
