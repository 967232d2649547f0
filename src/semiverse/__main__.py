"""``python -m semiverse``."""

from semiverse.cli.main import entry

if __name__ == "__main__":
    entry()
