/* Red zones between the threads' parts of scratch arrays.  In a build with FASTGMM_CHECK=1 and AddressSanitizer each part ends
 * with RED_ZONE numbers, and whoever touches them while a thread uses the part is reported.  Other builds have none. */
#ifndef FASTGMM_RED_ZONE_HPP
#define FASTGMM_RED_ZONE_HPP

#if FASTGMM_CHECK && defined(__SANITIZE_ADDRESS__)
#  include <sanitizer/asan_interface.h>

enum { RED_ZONE = 16 };

class RedZone {
public:
    /* The last RED_ZONE numbers before `end`. */
    template <class Number> explicit RedZone(const Number *end) : start(end - RED_ZONE), size(RED_ZONE * sizeof(Number))
    {
        ASAN_POISON_MEMORY_REGION(start, size);
    }
    ~RedZone() { ASAN_UNPOISON_MEMORY_REGION(start, size); }
    RedZone(const RedZone &) = delete;

private:
    const void *start;
    size_t size;
};
#else
enum { RED_ZONE = 0 };

struct RedZone {
    explicit RedZone(const void *) {}
};
#endif

#endif
