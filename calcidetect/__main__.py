"""``python -m calcidetect``: the same as the command ``calcidetect``."""

import sys

from calcidetect.cli import main

# Worker processes import this module again under another name; only the first one runs the command.
if __name__ == "__main__":
    sys.exit(main())
