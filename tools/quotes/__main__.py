"""Print each sentence that the published files do not support, and what it should say."""

import sys

from tools.quotes import again, analyses, arms, bench, curvature, real, results, slow_learning, why

ROOMS = (again, results, arms, why, slow_learning, curvature, analyses, real, bench)
QUOTES = [quote for room in ROOMS for quote in room.QUOTES]


def main() -> int:
    """Exit status 1 if there is such a sentence."""
    faults = [fault for quote in QUOTES for fault in quote.faults()]
    print("\n".join(faults) or f"{len(QUOTES)} sentences say what the published files say.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
