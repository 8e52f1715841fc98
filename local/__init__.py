"""A Kubernetes under the demo and the tests: a whole cluster, or parts of one, on the machine at hand."""
