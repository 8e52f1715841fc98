"""The model server beside its peers: `make bench-serving`."""
