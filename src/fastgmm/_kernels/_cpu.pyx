# Which SIMD variants this CPU and its operating system can run.
#
# A compiler may use every instruction of x86-64-v3 or -v4 anywhere, so all must be present, also under a hypervisor.  A missing
# one faults at best; a missing LZCNT runs as BSR and returns other numbers.

cdef extern from *:
    """
    #if defined(__GNUC__) && defined(__x86_64__)
    #include <cpuid.h>
    static void read_features(unsigned int* found)
    {
        unsigned int a, b, c, d;
        if (__get_cpuid(1, &a, &b, &c, &d)) found[0] = c;
        if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) found[1] = b;
        if (__get_cpuid(0x80000001, &a, &b, &c, &d)) found[2] = c;
        if (found[0] & (1u << 27)) { /* OSXSAVE */
            __asm__("xgetbv" : "=a"(found[3]), "=d"(d) : "c"(0));
    #ifdef __APPLE__
            found[3] |= 0xe0; /* macOS saves the registers of AVX-512 from their first use on */
    #endif
        }
    }
    #else
    static void read_features(unsigned int* found) { (void)found; }
    #endif
    """
    void read_features(unsigned int* found)


def _mask(*bits):
    return sum(1 << bit for bit in bits)


# Bits of CPUID(1).ECX, CPUID(7).EBX, CPUID(0x80000001).ECX and XCR0, by the x86-64 psABI, table "Micro-Architecture Levels".
_V3 = (
    _mask(0, 9, 12, 13, 19, 20, 22, 23, 27, 28, 29),  # SSE3, SSSE3, FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, OSXSAVE, AVX, F16C
    _mask(3, 5, 8),  # BMI1, AVX2, BMI2
    _mask(0, 5),  # LAHF, LZCNT
    _mask(1, 2),  # registers of SSE and AVX
)
_V4 = (
    0,
    _mask(16, 17, 28, 30, 31),  # AVX512 F, DQ, CD, BW, VL
    0,
    _mask(5, 6, 7),  # mask registers, upper halves, registers 16 to 31
)


def features():
    """Feature words in the order of _V3, 0 where CPU or operating system cannot be asked."""
    cdef unsigned int found[4]
    found[0] = found[1] = found[2] = found[3] = 0
    read_features(found)
    return found[0], found[1], found[2], found[3]


def supported(found=None):
    """Names of the variants that can run here, or with features ``found``, slowest first."""
    found = features() if found is None else found
    has_v3, has_v4 = (all(has & need == need for has, need in zip(found, level)) for level in (_V3, _V4))
    return ("baseline",) + (("v3",) if has_v3 else ()) + (("v4",) if has_v3 and has_v4 else ())
