"""Speed and memory against slow references, measured in one run: ``python -m benchmarks [names] [--out FILE]``."""
