include "passes.pxi"
include "kmeans.pxi"
