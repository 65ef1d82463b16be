"""Builds the kernels: one extension per SIMD variant of the same source.  Everything else is in pyproject.toml."""

import os
import platform
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

KERNELS = "src/fastgmm/_kernels"
VARIANTS = ("baseline", "v3", "v4") if platform.machine() in ("x86_64", "AMD64") else ("baseline",)

# Neither flag reorders arithmetic; both are needed for exp and comparisons to become vector code.  Never -ffast-math.
# The kernels are C++ without its library: templates, but no exceptions, no run-time types and nothing to link but libc.
COMMON_FLAGS = {
    "unix": ["-O3", "-fno-math-errno", "-fno-trapping-math", "-Wno-unused-function"],
    "msvc": ["/O2", "/std:c++17"],
}
COMMON_FLAGS["unix"] += ["-std=gnu++17", "-fno-exceptions", "-fno-rtti"]
SIMD_FLAGS = {
    "unix": {"v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"]},
    "msvc": {"v3": ["/arch:AVX2"], "v4": ["/arch:AVX512"]},
}
OPENMP_FLAGS = {  # compiler, linker
    "unix": (["-fopenmp"], ["-fopenmp"]),
    "msvc": (["/openmp"], []),
    "Apple": (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
}
NO_COMPILER = (
    "No working C++ compiler was found: install one (Debian, Ubuntu: apt install g++ python3-dev; macOS: "
    "xcode-select --install; Windows: Build Tools for Visual Studio)."
)
NO_OPENMP = (
    "The C++ compiler has no OpenMP: install it (Debian, Ubuntu: part of gcc; macOS: brew install libomp, then point "
    "CFLAGS and LDFLAGS at it), or set FASTGMM_NO_OPENMP=1 to build for a single thread."
)


class BuildKernels(build_ext):
    """build_ext with the flags that the compiler at hand understands; says what to install if it cannot work."""

    def build_extensions(self):
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        self.probe("int main(void) { return 0; }", [], [], NO_COMPILER)
        openmp, openmp_link = OPENMP_FLAGS["Apple" if platform.system() == "Darwin" else kind]
        if os.environ.get("FASTGMM_NO_OPENMP", "0") not in ("", "0"):
            openmp, openmp_link = [], []
        else:
            self.probe(
                "#include <omp.h>\nint main(void) { return !omp_get_max_threads(); }", openmp, openmp_link, NO_OPENMP
            )
        for extension in self.extensions:
            checks = ["-DFASTGMM_CHECK=1"] if os.environ.get("FASTGMM_CHECK", "0") not in ("", "0") else []
            variant = extension.name.rpartition("._")[2]
            extension.extra_compile_args = COMMON_FLAGS[kind] + checks + openmp + SIMD_FLAGS[kind].get(variant, [])
            extension.extra_link_args = openmp_link
            extension.language = "c"  # links with the C compiler, so that the library of C++ is not a dependency
        super().build_extensions()

    def probe(self, source, flags, link, remedy):
        """Compile and link a program."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.cpp")
            path.write_text(source)
            try:
                objects = self.compiler.compile([str(path)], output_dir=folder, extra_postargs=flags)
                self.compiler.link_executable(objects, "probe", output_dir=folder, extra_postargs=link)
            except (CompileError, LinkError) as error:
                raise SystemExit(f"fastgmm cannot be built. {remedy}\n({error})") from None


headers = [str(path) for pattern in ("*.hpp", "*.pxi") for path in Path(KERNELS).glob(pattern)]
extensions = [Extension("fastgmm._kernels._cpu", [f"{KERNELS}/_cpu.pyx"], language="c++")]
extensions += [
    Extension(
        f"fastgmm._kernels._{name}", [f"{KERNELS}/_{name}.pyx"], include_dirs=[KERNELS], depends=headers, language="c++"
    )
    for name in VARIANTS
]
directives = dict.fromkeys(("cdivision", "freethreading_compatible"), True)
directives |= dict.fromkeys(("boundscheck", "wraparound", "initializedcheck"), False)
setup(ext_modules=cythonize(extensions, compiler_directives=directives), cmdclass={"build_ext": BuildKernels})
