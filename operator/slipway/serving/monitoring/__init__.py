"""What the server knows of its own traffic: drift against the training data, payload log, feedback, traces.

`observer` is the one place where it touches the way of a request.
"""
