include "passes.pxi"
