/* What cells.pxi does with rows beside the functions of blocks.h and skipping.h; instantiated by kernels.h for float64 and float32. */
#define WIDTH (GROUP * NAME(LANES)) /* what `padded` is a multiple of */

/* Each row's leaf of a k-d tree with 2^depth leaves.  Level l divides all rows by one feature: to the second child of its node n go those that
 * are not below thresholds[2^l + n]. */
static void NAME(descend)(const REAL *RESTRICT X, int m, int d, int depth, const int32_t *RESTRICT features, const REAL *RESTRICT thresholds,
                          uint16_t *RESTRICT cells)
{
    for (int i = 0; i < m; i++) cells[i] = 0;
    for (int level = 0; level < depth; level++) {
        const REAL *RESTRICT x = X + features[level], *RESTRICT t = thresholds + (1 << level);
        for (int i = 0; i < m; i++) cells[i] = (uint16_t)(2 * cells[i] + !(x[(ptrdiff_t)i * d] < t[cells[i]]));
    }
}

/* The box around the rows: |x_j - center_j| <= half_j, with some more for what is computed from half. */
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

/* most_i = max_k p[k]_i; returns the least of them. */
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

/* Whether slope p_i + constant >= most_i, or there is a NaN, for any row. */
static int NAME(any_reaches)(const REAL *RESTRICT p, int padded, REAL slope, REAL constant, const REAL *RESTRICT most)
{
    for (int i = 0; i < padded; i += WIDTH) {
        int reaches = 0;
        for (int l = 0; l < WIDTH; l++) reaches |= !(slope * p[i + l] + constant < most[i + l]);
        if (reaches) return 1;
    }
    return 0;
}

/* Fetch the rows listed into cache, which are d numbers long. */
INLINE void NAME(fetch_listed)(const REAL *X, int d, const uint16_t *RESTRICT rows, int n)
{
#if defined(__GNUC__)
    for (int a = 0; a < n; a++) __builtin_prefetch(X + (ptrdiff_t)rows[a] * d);
#endif
}

#undef WIDTH
