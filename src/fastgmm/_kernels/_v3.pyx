include "passes.pxi"
include "skipping.pxi"
include "kmeans.pxi"
