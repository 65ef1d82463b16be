include "passes.pxi"
include "skipping.pxi"
include "cells.pxi"
include "kmeans.pxi"
