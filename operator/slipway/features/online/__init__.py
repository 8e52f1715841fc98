"""Online reads: the newest row of each entity, by entity key, for a model that answers now.

Rows get into an online store by `slipway.features.online.materialize`; `slipway.features.online.reading` reads them. Reading needs neither
Arrow, Delta Lake nor DuckDB, so that the model server stays small.
"""
