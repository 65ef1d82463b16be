/* Distances of rows from k-means centers; used by distances.pxi, lloyd.pxi and seeding.pxi.
 * Layout and edge as in blocks.h; distances are kept negated, so that the nearest center has the largest p[k]_i. */

/* round_rows for d <= 4 */
INLINE void NAME(round_few)(const REAL *RESTRICT X, const int d, const uint16_t *RESTRICT rows, int n,
                            const REAL *RESTRICT shift, REAL scale, float *RESTRICT out)
{
    for (int a = 0; a < n; a++)
UNROLL(4)
        for (int j = 0; j < d; j++) out[a * d + j] = (float)((X[rows[a] * (ptrdiff_t)d + j] - shift[j]) * scale);
}

/* out (n, d) <- scale (x - shift) of the listed rows in float32, for nearest.h. */
static void NAME(round_rows)(const REAL *RESTRICT X, int d, const uint16_t *RESTRICT rows, int n,
                             const REAL *RESTRICT shift, REAL scale, float *RESTRICT out)
{
    switch (d) {
    case 1: NAME(round_few)(X, 1, rows, n, shift, scale, out); return;
    case 2: NAME(round_few)(X, 2, rows, n, shift, scale, out); return;
    case 3: NAME(round_few)(X, 3, rows, n, shift, scale, out); return;
    case 4: NAME(round_few)(X, 4, rows, n, shift, scale, out); return;
    }
    for (int a = 0; a < n; a++) {
        const REAL *RESTRICT x = X + rows[a] * (ptrdiff_t)d;
        float *RESTRICT y = out + a * (ptrdiff_t)d;
        int j = 0;
        for (; j + LANES <= d; j += LANES) {
            VEC z = (*(const NAME(unaligned) *)(x + j) - *(const NAME(unaligned) *)(shift + j)) * scale;
            for (int l = 0; l < LANES; l++) y[j + l] = (float)((REAL *)&z)[l];
        }
        for (; j < d; j++) y[j] = (float)((x[j] - shift[j]) * scale);
    }
}

/* out (n, d) <- the listed rows */
static void NAME(take_rows)(const REAL *RESTRICT X, int d, const uint16_t *RESTRICT rows, int n, REAL *RESTRICT out)
{
    for (int a = 0; a < n; a++) memcpy(out + (ptrdiff_t)a * d, X + (ptrdiff_t)rows[a] * d, d * sizeof(REAL));
}

/* xt -= shift, for each feature */
static void NAME(subtract)(REAL *RESTRICT xt, int padded, int d, const REAL *RESTRICT shift)
{
    for (int j = 0; j < d; j++)
        for (int i = 0; i < padded; i += LANES) {
            REAL *x = xt + j * STRIDE + i;
            NAME(store)(x, NAME(load)(x) - shift[j]);
        }
}

INLINE void NAME(distance_tile)(const int count, const REAL *RESTRICT xt, int d, const REAL *RESTRICT centers,
                                REAL *RESTRICT out)
{
    VEC q[4][GROUP] = {0};
    for (int j = 0; j < d; j++)
UNROLL(4)
        for (int g = 0; g < GROUP; g++) {
            VEC x = NAME(load)(xt + j * STRIDE + g * LANES);
UNROLL(4)
            for (int k = 0; k < count; k++) {
                VEC y = x - centers[(ptrdiff_t)k * d + j];
                q[k][g] += y * y;
            }
        }
UNROLL(4)
    for (int k = 0; k < count; k++)
UNROLL(4)
        for (int g = 0; g < GROUP; g++) NAME(store)(out + k * STRIDE + g * LANES, -q[k][g]);
}

/* out[k]_i <- -|x_i - center_k|^2 for `count` centers */
static void NAME(negative_distances)(const REAL *RESTRICT xt, int padded, int d, const REAL *RESTRICT centers,
                                     int count, REAL *RESTRICT out)
{
    for (int i = 0; i < padded; i += GROUP * LANES) {
        ptrdiff_t k = 0;
        for (; k + 4 <= count; k += 4) NAME(distance_tile)(4, xt + i, d, centers + k * d, out + k * STRIDE + i);
        for (; k < count; k++) NAME(distance_tile)(1, xt + i, d, centers + k * d, out + k * STRIDE + i);
    }
}

/* nearest_i <- the k with the largest p[k]_i, the first of equals; best_i <- its value; next_i <- the largest of the others. */
static void NAME(two_nearest)(const REAL *RESTRICT p, int n_components, int m, REAL *RESTRICT best, REAL *RESTRICT next,
                              int32_t *RESTRICT nearest)
{
    for (int i = 0; i < m; i++) best[i] = p[i], next[i] = -REAL_INF, nearest[i] = 0;
    for (int k = 1; k < n_components; k++) {
        const REAL *RESTRICT pk = p + (ptrdiff_t)k * STRIDE;
        for (int i = 0; i < m; i++) {
            REAL b = best[i], lower = pk[i] > b ? b : pk[i];
            nearest[i] = pk[i] > b ? k : nearest[i];
            best[i] = pk[i] > b ? pk[i] : b;
            next[i] = next[i] > lower ? next[i] : lower;
        }
    }
}

/* best <- the gap: distance of the second nearest center minus that of the nearest, less a bound of the rounding. */
static void NAME(gaps)(REAL *RESTRICT best, const REAL *RESTRICT next, int m, int d)
{
    const REAL rounding = (d + 10) * REAL_EPS;
    for (int i = 0; i < m; i++) {
        REAL near = (REAL)sqrt(-best[i]), far = (REAL)sqrt(-next[i]);
        best[i] = far < REAL_INF ? (far - near) - rounding * (far + near) : REAL_INF;
    }
}

/* distances <- min(closest, -negative), or -negative if `closest` is NULL */
static void NAME(lower)(const REAL *RESTRICT negative, const REAL *closest, int m, REAL *distances)
{
    for (int i = 0; i < m; i++) distances[i] = closest && closest[i] < -negative[i] ? closest[i] : -negative[i];
}

/* lowered <- min(lowered, -negative) at the listed rows */
static void NAME(lower_listed)(const REAL *RESTRICT negative, const uint16_t *RESTRICT rows, int n, REAL *RESTRICT lowered)
{
    for (int a = 0; a < n; a++) lowered[rows[a]] = lowered[rows[a]] < -negative[a] ? lowered[rows[a]] : -negative[a];
}

/* out <- scale x in float32, rounded up. */
static void NAME(round_up)(const REAL *RESTRICT x, int n, REAL scale, float *RESTRICT out)
{
    for (int i = 0; i < n; i++) out[i] = (float)(x[i] * scale) * (1 + 4 * FLT_EPSILON) + FLT_MIN;
}
