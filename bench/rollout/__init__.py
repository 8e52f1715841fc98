"""Many ModelDeployments at once on a real API server: are all of them right in the end, and at what cost."""
