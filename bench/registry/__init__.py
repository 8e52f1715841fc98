"""Registry and metadata store against an MLflow server: ``make bench-registry``."""
