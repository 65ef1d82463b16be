# The compiled passes over the rows.  One extension module per SIMD variant consists of this file.
#
# The .pxi files say what a pass does with a block of rows and in which order, and divide the blocks among threads; the
# headers (kernels.h) do the arithmetic on a block.
include "steps.pxi"               # the steps on a block, threads, workspaces
include "em.pxi"                  # the pass of EM; statistics under given responsibilities
include "densities.pxi"           # log-likelihoods, labels and responsibilities of rows
include "screen.pxi"              # which pairs (row, component) may count, in many dimensions
include "screened_em.pxi"         # the pass of EM without the others
include "screened_densities.pxi"  # log-likelihoods and labels without them
include "cells.pxi"               # which components the rows of a cell may need, in few dimensions
include "cells_em.pxi"            # the pass of EM without the others
include "cells_densities.pxi"     # log-likelihoods and labels without them
include "distances.pxi"           # distances of rows from k-means centers
include "lloyd.pxi"               # the pass of Lloyd's algorithm
include "seeding.pxi"             # the passes of k-means++
