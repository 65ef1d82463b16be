"""python -m fastgmm"""

import sys

from fastgmm.cli import main

if __name__ == "__main__":
    sys.exit(main())
