from tests.fakes.store_fixtures import buckets, s3_store, seaweed, store

__all__ = ["buckets", "s3_store", "seaweed", "store"]
