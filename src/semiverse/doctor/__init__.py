"""The doctor: what is wrong with a dataset, and what can be repaired."""
