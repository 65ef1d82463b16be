"""python -m fastgmm"""

import sys

from fastgmm._command_line.cli import main

if __name__ == "__main__":
    sys.exit(main())
