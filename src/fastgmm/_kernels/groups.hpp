/* Rows of an array that have missing values, in groups with the same features. */
#ifndef FASTGMM_GROUPS_HPP
#define FASTGMM_GROUPS_HPP

#include "blocks.hpp"

template <class Real> struct Groups {
    const Real *X;         /* (n_all, d), C-contiguous */
    int d;
    const double *weights; /* (n_all,), or NULL for ones */
    const int64_t *order;  /* (n,), numbers of rows, group after group */
    ptrdiff_t n_groups;
    const int64_t *starts;     /* (n_groups + 1,): group g is order[starts[g]] .. order[starts[g + 1] - 1] */
    const int32_t *n_observed; /* (n_groups,), at least 1 */
    const int32_t *features;   /* (n_groups, d): those that rows of the group have, ascending, then the others, ascending */

    /* For rows start .. stop - 1 of the order call large(g, first, end) for each part of a group, but small(g, first, end) for those
     * of groups g, g + 1, .. of less than `few` rows, none of them complete, that follow each other. */
    template <class Large, class Small>
    void for_parts(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t few, Large large, Small small) const
    {
        const auto is_small = [&](ptrdiff_t group) { return n_observed[group] < d && starts[group + 1] - starts[group] < few; };
        ptrdiff_t g = 0, high = n_groups;
        while (high - g > 1) {
            const ptrdiff_t middle = (g + high) / 2;
            if (starts[middle] <= start) g = middle;
            else high = middle;
        }
        while (start < stop) {
            const ptrdiff_t first = g, begin = start;
            do start = smaller(stop, starts[++g]);
            while (start < stop && is_small(first) && is_small(g));
            if (is_small(first)) small(first, begin, start);
            else large(first, begin, start);
        }
    }

    /* The values that rows first .. first + m - 1 of the order, all of group g, have, out (m, n_observed), and their weights. */
    void gather(ptrdiff_t g, ptrdiff_t first, int m, Real *RESTRICT out, double *RESTRICT w) const
    {
        const int o = n_observed[g];
        const int32_t *of = features + g * d;
        for (int i = 0; i < m; i++) {
#if defined(FASTGMM_GNU)
            if (i + 8 < m) __builtin_prefetch(X + order[first + i + 8] * d);
#endif
            const Real *x = X + order[first + i] * d;
            if (o == d) memcpy(out + (ptrdiff_t)i * d, x, d * sizeof(Real));
            else
                for (int a = 0; a < o; a++) out[(ptrdiff_t)i * o + a] = x[of[a]];
        }
        if (weights)
            for (int i = 0; i < m; i++) w[i] = weights[order[first + i]];
    }
};

#endif
