"""The Open Inference Protocol on gRPC: off unless a port is given, and nothing of it is imported before."""
