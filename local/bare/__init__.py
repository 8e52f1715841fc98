"""The provider `bare`: a single-node Kubernetes from processes of this machine, in a network namespace of its own."""
