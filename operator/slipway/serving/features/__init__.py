"""Features by entity key, for versions that were trained on feature views. Other versions never load this."""
