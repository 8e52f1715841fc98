"""What holds for all layers."""

from hypothesis import HealthCheck, settings

# An example's time is the machine's affair: on a busy one, Hypothesis' 200 ms fail what is right.
settings.register_profile("slipway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("slipway")
