"""Prometheus registries and the HTTP server of metrics and health."""
