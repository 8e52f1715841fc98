"""What can be said of a version and proved: where it came from (in-toto, SLSA), what is in it (CycloneDX), who vouches for it
(OpenSSF model-signing). Made by the operator when it registers a version, checked before a rollout, on load, and by
``slipway model verify``.
"""
