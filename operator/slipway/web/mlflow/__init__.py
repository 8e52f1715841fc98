"""MLflow's registry REST API, its reading half, over our registry. Written against what MLflow's own client sends."""
