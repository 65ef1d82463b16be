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
X86_64 = platform.machine() in ("x86_64", "AMD64")
VARIANTS = ("baseline", "v3", "v4") if X86_64 else ("baseline",)

# Neither flag reorders arithmetic; both are needed for exp and comparisons to become vector code.  Never -ffast-math.
GNU_FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-Wno-unused-function"]
SIMD_FLAGS = {
    "unix": {"v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"]},
    "msvc": {"v3": ["/arch:AVX2"], "v4": ["/arch:AVX512"]},
}
OPENMP_FLAGS = {  # compiler, linker
    "linux": (["-fopenmp"], ["-fopenmp"]),
    "darwin": (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),  # Apple's clang, with an installed libomp
    "msvc": (["/openmp"], []),
}


class BuildKernels(build_ext):
    """build_ext with the flags that the compiler at hand understands."""

    def build_extensions(self):
        compiler = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        common = ["/O2"] if compiler == "msvc" else GNU_FLAGS
        openmp, openmp_link = self.openmp_flags(compiler)
        for extension in self.extensions:
            variant = extension.name.rpartition("._")[2]
            extension.extra_compile_args = common + openmp + SIMD_FLAGS[compiler].get(variant, [])
            extension.extra_link_args = openmp_link
        super().build_extensions()

    def openmp_flags(self, compiler):
        """Flags that were seen to compile and link an OpenMP program here; an error that says what to install otherwise."""
        if os.environ.get("FASTGMM_NO_OPENMP", "0") not in ("", "0"):
            return [], []
        flags, link = OPENMP_FLAGS["msvc" if compiler == "msvc" else "darwin" if platform.system() == "Darwin" else "linux"]
        self.try_build("int main(void) { return 0; }", [], [], "No working C compiler was found: install one "
                       "(Debian, Ubuntu: apt install gcc python3-dev; macOS: xcode-select --install; Windows: Build Tools for Visual Studio).")
        self.try_build("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }", flags, link, "The C compiler has no OpenMP: "
                       "install it (Debian: part of gcc; macOS: brew install libomp, then point CFLAGS and LDFLAGS at it), "
                       "or set FASTGMM_NO_OPENMP=1 to build for a single thread.")
        return flags, link

    def try_build(self, source, flags, link, remedy):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.c")
            path.write_text(source)
            try:
                objects = self.compiler.compile([str(path)], output_dir=folder, extra_postargs=flags)
                self.compiler.link_executable(objects, "probe", output_dir=folder, extra_postargs=link)
            except (CompileError, LinkError) as error:
                raise SystemExit(f"fastgmm cannot be built. {remedy}\n({error})") from None


extensions = [Extension("fastgmm._kernels._cpu", [f"{KERNELS}/_cpu.pyx"])] + [
    Extension(f"fastgmm._kernels._{v}", [f"{KERNELS}/_{v}.pyx"], include_dirs=[KERNELS],
              depends=[str(path) for pattern in ("*.h", "*.pxi") for path in Path(KERNELS).glob(pattern)])
    for v in VARIANTS
]
DIRECTIVES = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False,
              "freethreading_compatible": True, "embedsignature": True}
setup(ext_modules=cythonize(extensions, compiler_directives=DIRECTIVES), cmdclass={"build_ext": BuildKernels})
