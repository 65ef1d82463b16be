/* Assigning rows to the cells (leaves) of a k-d tree, and bounds for a tile of rows of one cell; used by cells.pxi.
 * Layout and edge as in blocks.h; the padding of a tile repeats its last row, so that it may enter all extrema. */
#define WIDTH (GROUP * LANES) /* padded is a multiple of it */

/* cells_i <- the leaf of row i in a k-d tree with 2^depth leaves.  All nodes of level l split features[l]; a row of node n
 * goes to its second child if it is not below thresholds[2^l + n]. */
static void NAME(find_cells)(const REAL *RESTRICT X, int m, int d, int depth, const int32_t *RESTRICT features, const REAL *RESTRICT thresholds,
                          uint16_t *RESTRICT cells)
{
    for (int i = 0; i < m; i++) cells[i] = 0;
    for (int level = 0; level < depth; level++) {
        const REAL *RESTRICT x = X + features[level], *RESTRICT t = thresholds + (1 << level);
        for (int i = 0; i < m; i++) cells[i] = (uint16_t)(2 * cells[i] + !(x[(ptrdiff_t)i * d] < t[cells[i]]));
    }
}

/* Bounding box |x_j - center_j| <= half_j of the rows; half is rounded up. */
static void NAME(bounding_box)(const REAL *RESTRICT xt, int padded, int d, double *RESTRICT center, double *RESTRICT half)
{
    for (int j = 0; j < d; j++, xt += STRIDE) {
        REAL low[WIDTH], high[WIDTH];
        for (int l = 0; l < WIDTH; l++) low[l] = high[l] = xt[l];
        for (int i = WIDTH; i < padded; i += WIDTH)
            for (int l = 0; l < WIDTH; l++) {
                low[l] = xt[i + l] < low[l] ? xt[i + l] : low[l];
                high[l] = xt[i + l] > high[l] ? xt[i + l] : high[l];
            }
        for (int l = 1; l < WIDTH; l++) {
            low[0] = low[l] < low[0] ? low[l] : low[0];
            high[0] = high[l] > high[0] ? high[l] : high[0];
        }
        double middle = 0.5 * low[0] + 0.5 * high[0], up = high[0] - middle, down = middle - low[0];
        center[j] = middle;
        half[j] = (up > down ? up : down) * (1.0 + BOX_ROUNDING);
    }
}

/* most_i <- max_k p[k]_i; returns the least of them. */
static double NAME(least_of_largest)(const REAL *RESTRICT p, int n_components, int padded, REAL *RESTRICT most)
{
    REAL least[WIDTH];
    for (int i = 0; i < padded; i++) most[i] = p[i];
    for (int k = 1; k < n_components; k++) {
        const REAL *RESTRICT pk = p + k * STRIDE;
        for (int i = 0; i < padded; i++) most[i] = pk[i] > most[i] ? pk[i] : most[i];
    }
    for (int l = 0; l < WIDTH; l++) least[l] = most[l];
    for (int i = WIDTH; i < padded; i += WIDTH)
        for (int l = 0; l < WIDTH; l++) least[l] = most[i + l] < least[l] ? most[i + l] : least[l];
    for (int l = 1; l < WIDTH; l++) least[0] = least[l] < least[0] ? least[l] : least[0];
    return least[0];
}

/* Whether slope p_i + constant >= most_i for any row, or either side is NaN. */
static int NAME(any_reaches)(const REAL *RESTRICT p, int padded, REAL slope, REAL constant, const REAL *RESTRICT most)
{
    for (int i = 0; i < padded; i += WIDTH) {
        int reaches = 0;
        for (int l = 0; l < WIDTH; l++) reaches |= !(slope * p[i + l] + constant < most[i + l]);
        if (reaches) return 1;
    }
    return 0;
}

/* Prefetch the n rows listed. */
INLINE void NAME(prefetch_listed)(const REAL *X, int d, const uint16_t *RESTRICT rows, int n)
{
#if defined(__GNUC__)
    for (int a = 0; a < n; a++) __builtin_prefetch(X + (ptrdiff_t)rows[a] * d);
#endif
}

#undef WIDTH
