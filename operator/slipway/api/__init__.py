"""The custom resources as data: one module per kind, conditions and reasons, schema generation. No I/O."""
