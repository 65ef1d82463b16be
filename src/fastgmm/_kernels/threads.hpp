/* The driver of all passes: threads take one chunk of rows after the other, and the sums of chunks are merged in a tree.
 *
 * The number of rows alone determines the chunks and the tree, so results depend neither on the number of threads nor on who
 * takes which chunk.
 *
 * Each T-th chunk belongs to the same one of T threads, which then finds rows of the last pass in its cache.  A thread that
 * is ahead of the others takes the first chunk that is left: one whose core is busy with other work gets help.
 *
 * The tree adds up chunks 0 and 1, 2 and 3, .., then pairs of these sums, and so on.  Each chunk is summed in a buffer of its
 * own.  The thread that completes the second of two siblings merges them; the first waits in its buffer.  Chunks are taken
 * almost in order, so about log2 of their number wait.  If all buffers are in use, a thread ends: the others go on, and one
 * that is left alone always finds a buffer.  Nothing is allocated. */
#ifndef FASTGMM_THREADS_HPP
#define FASTGMM_THREADS_HPP

#include "shared.hpp"

#ifdef _OPENMP
#  include <omp.h>
#  define HAS_OPENMP 1
#else
#  define HAS_OPENMP 0
#  define omp_get_max_threads() 1
#  define omp_get_thread_num() 0
#endif

enum {
    MOST_CHUNKS = 256,
    MANY_CHUNKS = 32,       /* enough to share out evenly */
    MOST_AHEAD = 2,         /* chunks by which a thread may be ahead of others */
    MOST_WAITING = 16,      /* sums of chunks that wait, besides those ahead: twice log2 of MOST_CHUNKS */
    LEAST_CHUNK_ROWS = 512, /* merging the sums of fewer rows would take some percent of the time */
    CHUNK_ROWS = 2048       /* of a chunk of many rows */
};

/* Rows 0 .. n - 1 in chunks of whole units of rows, divided as evenly as possible. */
struct Chunks {
    ptrdiff_t n, unit, n_units;
    int count; /* a multiple of 4 or 8 if there are some: then each of 2, 4 or 8 threads can take as many */

    /* Chunks of the usual number of rows, or of `rows` if that is more. */
    explicit Chunks(ptrdiff_t n, ptrdiff_t rows = 0, ptrdiff_t unit = BLOCK) : n(n), unit(unit), n_units((n - 1) / unit + 1)
    {
        const ptrdiff_t usual = larger(LEAST_CHUNK_ROWS, smaller(CHUNK_ROWS, n / MANY_CHUNKS));
        const ptrdiff_t some = (n - 1) / larger(rows, usual) + 1;
        const int even = some > 16 ? 8 : some > 4 ? 4 : 1;
        count = (int)smaller((some + even - 1) / even * even, smaller(n_units, MOST_CHUNKS));
    }

    ptrdiff_t start(int chunk) const { return smaller(n, n_units * chunk / count * unit); }
    ptrdiff_t stop(int chunk) const { return start(chunk + 1); }
};

class Lock {
public:
#ifdef _OPENMP
    Lock() { omp_init_lock(&lock); }
    ~Lock() { omp_destroy_lock(&lock); }
    void set() { omp_set_lock(&lock); }
    void unset() { omp_unset_lock(&lock); }

private:
    omp_lock_t lock;
#else
    void set() {}
    void unset() {}
#endif
};

/* Call work(t) in each thread t. */
template <class Function> static void in_threads(int n_threads, Function work)
{
    if (n_threads == 1) {
        work(0);
        return;
    }
#ifdef _OPENMP
#  pragma omp parallel num_threads(n_threads)
#endif
    work(omp_get_thread_num());
}

/* Which chunks are left. */
class Queue {
public:
    Queue(int n_chunks, int n_threads) : n_chunks(n_chunks), n_threads(n_threads) { memset(taken, 0, n_chunks); }

    /* The next chunk of thread t; -1 if none is left. */
    int take(int t)
    {
        while (first < n_chunks && taken[first]) first++;
        if (first == n_chunks) return -1;
        int own = first + (t + n_threads - first % n_threads) % n_threads; /* the first that belongs to t */
        while (own < n_chunks && taken[own]) own += n_threads;
        const int chunk = own < n_chunks && own < first + MOST_AHEAD * n_threads ? own : first;
        taken[chunk] = true;
        return chunk;
    }

private:
    int n_chunks, n_threads, first = 0;
    bool taken[MOST_CHUNKS];
};

/* Call rows(t, start, stop) for all chunks, thread t for those that it takes. */
template <class Function> static void share_out(const Chunks &chunks, int n_threads, Function rows)
{
    n_threads = smaller(n_threads, chunks.count);
    Queue queue(chunks.count, n_threads);
    Lock lock;
    in_threads(n_threads, [&](int t) {
        for (;;) {
            lock.set();
            const int chunk = queue.take(t);
            lock.unset();
            if (chunk < 0) return;
            rows(t, chunks.start(chunk), chunks.stop(chunk));
        }
    });
}

/* The buffers of a tree of sums, and what waits where. */
class SumTree {
public:
    /* Number of buffers that `sums` has to hold. They take whole cache lines, so that threads do not share any. */
    static ptrdiff_t n_buffers(int n_threads) { return (1 + MOST_AHEAD) * n_threads + MOST_WAITING; }

    SumTree(int n_chunks, int n_threads, double *sums, ptrdiff_t n_sums)
        : n_chunks(n_chunks), sums(sums), n_sums((n_sums + 7) / 8 * 8), queue(n_chunks, n_threads)
    {
        for (n_free = 0; n_free < n_buffers(n_threads); n_free++) unused[n_free] = n_buffers(n_threads) - 1 - n_free;
        memset(width, 0, n_chunks * sizeof *width);
    }

    /* Take the next chunk of thread t and a buffer for it; false if there is none. */
    bool take(int t, int &chunk, int &buffer)
    {
        lock.set();
        chunk = n_free > 0 ? queue.take(t) : -1;
        if (chunk >= 0) buffer = unused[--n_free];
        lock.unset();
        return chunk >= 0;
    }

    /* The sums of a chunk are complete: merge what can be merged. */
    void complete(int chunk, int buffer)
    {
        int first = chunk, n = 1; /* the node has the sums of chunks first .. first + n - 1 */
        lock.set();
        for (;;) {
            while (n < n_chunks && (first ^ n) >= n_chunks) n *= 2; /* it has no sibling */
            const int sibling = first ^ n;
            if (n >= n_chunks || width[sibling] != n) break;
            const int other = waiting[sibling];
            width[sibling] = 0;
            lock.unset();
            merge(buffer, other);
            lock.set();
            unused[n_free++] = other;
            first &= ~n, n *= 2;
        }
        waiting[first] = buffer, width[first] = n;
        lock.unset();
    }

    void clear(int buffer) const { memset(at(buffer), 0, n_sums * sizeof(double)); }
    double *at(int buffer) const { return sums + buffer * n_sums; }
    const double *total() const { return at(waiting[0]); } /* of all chunks, when they are complete */

private:
    int n_chunks, n_free;
    double *sums; /* (n_buffers, n_sums) */
    ptrdiff_t n_sums;
    Queue queue;
    Lock lock;
    int unused[(1 + MOST_AHEAD) * MOST_CHUNKS + MOST_WAITING]; /* buffers */
    int waiting[MOST_CHUNKS];               /* the buffer of the node that begins with this chunk .. */
    int width[MOST_CHUNKS];                 /* .. and its number of chunks, those beyond the last included; 0 if none waits */

    void merge(int buffer, int other) const
    {
        double *RESTRICT into = at(buffer);
        const double *RESTRICT from = at(other);
        for (ptrdiff_t j = 0; j < n_sums; j++) into[j] += from[j];
    }
};

/* As share_out, with sums: calls rows(t, start, stop, sums of the chunk, zero before), and returns the sums of all chunks.
 * `sums` is scratch for SumTree::n_buffers(n_threads) times n_sums numbers; n_sums counts a red zone. */
template <class Function>
static const double *sum_chunks(const Chunks &chunks, int n_threads, double *sums, ptrdiff_t n_sums, Function rows)
{
    n_threads = smaller(n_threads, chunks.count);
    SumTree tree(chunks.count, n_threads, sums, n_sums);
    in_threads(n_threads, [&](int t) {
        for (int chunk, buffer; tree.take(t, chunk, buffer); tree.complete(chunk, buffer)) {
            tree.clear(buffer);
            const RedZone red_zone(tree.at(buffer + 1));
            rows(t, chunks.start(chunk), chunks.stop(chunk), tree.at(buffer));
        }
    });
    return tree.total();
}

/* What a pass adds up: statistics about centers, and the sums of its threads. */
template <class Real> struct Statistics {
    const Real *centers; /* (K, d) */
    double *nk;          /* (K,); of EM (K + 1,) if there is a background, whose mass is the last one */
    double *sum_x;       /* (K, d) */
    double *scatter;     /* shape of the factors, or (K, 1, 1) */
    double *sums;        /* scratch (SumTree::n_buffers, sums_length) */

    /* nk, sum_x, scatter += those of the sums of all chunks, which follow two other numbers. */
    void add(const Shape &s, const double *total) const
    {
        double *unused = total == sums ? sums + s.sums_length() : sums; /* another buffer */
        total += 2;
        for (ptrdiff_t k = 0; k < s.n_components; k++) nk[k] += *total++;
        for (ptrdiff_t j = 0; j < (ptrdiff_t)s.n_components * s.d; j++) sum_x[j] += *total++;
        for (ptrdiff_t k = 0; k < s.n_factors; k++, total += s.scatter_length())
            if (s.sphere)
                for (int j = 0; j < s.d; j++) scatter[k] += total[j];
            else if (s.diag)
                for (int j = 0; j < s.d; j++) scatter[k * s.d + j] += total[j];
            else
                add_scatter(total, s.d, scatter + k * s.d * s.d);
        if (s.can_share()) add_scatter_of_centers(total, s.n_components, s.d, centers, unused, scatter);
        empty_upper_halves();
    }
};

template <class Real> struct Rows {
    const Real *X; /* (n, d), C-contiguous */
    ptrdiff_t n;
    const double *weights; /* (n,), or NULL for ones */

    const double *weights_from(ptrdiff_t row) const { return weights ? weights + row : NULL; }
};

#endif
