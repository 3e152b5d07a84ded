"""The core group: pods and what they are made of, nodes, namespaces, services."""
