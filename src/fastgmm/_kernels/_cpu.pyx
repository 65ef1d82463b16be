# Which SIMD variants this CPU and its operating system can run.
#
# A compiler may use every instruction of x86-64-v3 or -v4 anywhere, so all must be present, also under a hypervisor.  A missing
# one faults at best; a missing LZCNT runs as BSR and returns other numbers.

cdef extern from *:
    """
    #if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
    /* In assembly, since clang-cl has no header that both defines this and allows xgetbv in code for any CPU. */
    static void ask_cpu(unsigned int leaf, unsigned int* answer)
    {
        __asm__("cpuid" : "=a"(answer[0]), "=b"(answer[1]), "=c"(answer[2]), "=d"(answer[3]) : "a"(leaf), "c"(0));
    }
    static void read_features(unsigned int* found)
    {
        unsigned int most[4], more[4], answer[4];
        ask_cpu(0, most);
        ask_cpu(0x80000000, more);
        ask_cpu(1, answer), found[0] = answer[2];
        if (most[0] >= 7) ask_cpu(7, answer), found[1] = answer[1];
        if (more[0] >= 0x80000001) ask_cpu(0x80000001, answer), found[2] = answer[2];
        if (found[0] & (1u << 27)) { /* OSXSAVE */
            __asm__("xgetbv" : "=a"(found[3]), "=d"(answer[3]) : "c"(0));
    #ifdef __APPLE__
            found[3] |= 0xe0; /* macOS saves the registers of AVX-512 from their first use on */
    #endif
        }
    }
    #else /* one variant is built */
    static void read_features(unsigned int* found) { (void)found; }
    #endif

    #define TEXT_OF(x) #x
    #define TEXT(x) TEXT_OF(x)
    #if defined(__clang__)
    #  define COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #  define COMPILER "gcc " __VERSION__
    #elif defined(_MSC_FULL_VER)
    #  define COMPILER "Visual C++ " TEXT(_MSC_FULL_VER)
    #else
    #  define COMPILER "unknown"
    #endif
    """
    void read_features(unsigned int* found)
    const char* COMPILER_NAME "COMPILER"

COMPILER = COMPILER_NAME.decode().strip()


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
