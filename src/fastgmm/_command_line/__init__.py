"""The command line, ``python -m fastgmm``."""
