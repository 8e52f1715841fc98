"""Copies of requests for another version of the model, whose answers are compared with the users' and dropped."""
