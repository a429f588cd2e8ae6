"""``python -m tests.proving --faults 500 --seed S``: see `tests.proving.ground`."""

import sys

from tests.proving.ground import main

sys.exit(main())
