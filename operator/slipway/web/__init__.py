"""The read-only HTTP service over a registry: MLflow's registry API for its clients, and pages for people (`slipway web`)."""
