"""`python -m frod_bench.compare`."""

import sys

from frod_bench.compare import main

sys.exit(main())
