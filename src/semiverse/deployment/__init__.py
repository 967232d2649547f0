"""Deployment: a model as a file that other runtimes compute, and whether they compute the same."""
