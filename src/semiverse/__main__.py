"""``python -m semiverse``."""

from semiverse.cli import entry

if __name__ == "__main__":
    entry()
