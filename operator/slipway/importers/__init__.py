"""Models from other registries into ours: read there over HTTP, registered here with where they came from."""
