"""Builds the kernels: one extension per SIMD variant of the same source.  Everything else is in pyproject.toml."""

import os
import platform
import shutil
import sysconfig
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError
from setuptools.modified import newer_group

KERNELS = "src/fastgmm/_kernels"
VARIANTS = ("baseline", "v3", "v4") if platform.machine() in ("x86_64", "AMD64") else ("baseline",)

# Neither flag reorders arithmetic; both are needed for exp and comparisons to become vector code.  Never -ffast-math.
# The kernels are C++ without its library: templates, but no exceptions, no run-time types and nothing to link but libc.
GNU_FLAGS = ["-fno-math-errno", "-fno-trapping-math", "-Wno-unused-function"]
COMMON_FLAGS = {
    "unix": [*GNU_FLAGS, "-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden"],
    "clang-cl": ["/std:c++17", *(f"/clang:{flag}" for flag in GNU_FLAGS)],
    "msvc": ["/std:c++17"],
}
# Kernels are compiled for speed.  Python's glue around them is as much source, and for size it takes half the space.
FOR_SPEED = {"unix": ["-O3"], "clang-cl": ["/clang:-O3"], "msvc": ["/O2"]}
FOR_SIZE = {"unix": ["-Os"], "clang-cl": ["/clang:-Os"], "msvc": ["/O1"]}
SIMD_FLAGS = {"v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"]}
OPENMP_FLAGS = {  # compiler, linker
    "unix": (["-fopenmp"], ["-fopenmp"]),
    "clang-cl": (["/openmp"], ["libomp.lib"]),
    "msvc": (["/openmp"], []),
    "Apple": (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
}
NO_COMPILER = (
    "No working C++ compiler was found: install one (Debian, Ubuntu: apt install g++ python3-dev; macOS: "
    "xcode-select --install; Windows: Build Tools for Visual Studio with clang-cl, and set CC=clang-cl)."
)
NO_OPENMP = (
    "The C++ compiler has no OpenMP: install it (Debian, Ubuntu: part of gcc; macOS: brew install libomp, then point "
    "CPPFLAGS and LDFLAGS at it; Windows: part of LLVM), or set FASTGMM_NO_OPENMP=1 to build for a single thread."
)
SLOW_COMPILER = (
    "fastgmm: Visual Studio's own compiler has no vector types, so these kernels work on one number at a time and are "
    "several times slower. Install clang-cl (LLVM) and set CC=clang-cl for full speed."
)

if "CFLAGS" in os.environ:  # setuptools gives it to C alone, but people mean all that is compiled
    os.environ.setdefault("CXXFLAGS", os.environ["CFLAGS"])


def is_set(name):
    return os.environ.get(name, "0") not in ("", "0")


class BuildKernels(build_ext):
    """build_ext with the flags that the compiler at hand understands; says what to install if it cannot work."""

    def build_extensions(self):
        kind = self.choose_compiler()
        self.probe("int probe(void) { return 0; }", [], [], NO_COMPILER)
        openmp, openmp_link = OPENMP_FLAGS["Apple" if platform.system() == "Darwin" else kind]
        if is_set("FASTGMM_NO_OPENMP"):
            openmp, openmp_link = [], []
        else:
            source = "#include <omp.h>\nint probe(void) { return omp_get_max_threads(); }"
            self.probe(source, openmp, openmp_link, NO_OPENMP)
        if kind == "msvc":  # wider registers gain nothing without vector types
            print(SLOW_COMPILER)
            self.extensions = [ext for ext in self.extensions if ext.name.rpartition("._")[2] not in SIMD_FLAGS]
        for extension in self.extensions:
            simd = SIMD_FLAGS.get(extension.name.rpartition("._")[2], [])
            if kind == "clang-cl":
                simd = [f"/clang:{flag}" for flag in simd]
            checks = ["-DFASTGMM_CHECK=1"] if is_set("FASTGMM_CHECK") else []
            flags = COMMON_FLAGS[kind] + self.debug_flags(kind) + checks + openmp + simd
            extension.extra_compile_args = flags + FOR_SIZE[kind]
            extension.kernel_flags = flags + FOR_SPEED[kind]
            extension.extra_link_args = openmp_link
            extension.language = "c"  # links with the C compiler, so that the library of C++ is not a dependency
        super().build_extensions()
        runtime = Path(self.compiler.cc).with_name("libomp.dll") if kind == "clang-cl" else None
        if runtime and openmp and runtime.exists():  # Windows looks for it beside an extension, but not on PATH
            for folder in {Path(self.get_ext_fullpath(extension.name)).parent for extension in self.extensions}:
                shutil.copy(runtime, folder)

    def build_extension(self, extension):
        """Compile the kernels of a variant, each with its own flags, before the glue that is linked with them."""
        made = self.get_ext_fullpath(extension.name)
        if extension.include_dirs and (self.force or newer_group([*extension.sources, *extension.depends], made)):
            folder = str(Path(self.build_temp, extension.name))
            flags = {"include_dirs": [KERNELS], "extra_postargs": extension.kernel_flags}
            extension.extra_objects = self.compiler.compile([f"{KERNELS}/kernels.cpp"], output_dir=folder, **flags)
        super().build_extension(extension)

    def choose_compiler(self):
        """The kind of the compiler, a key of COMMON_FLAGS.  setuptools' class for Windows ignores CC."""
        if self.compiler.compiler_type != "msvc":
            return "unix"
        name = os.environ.get("CC", "")
        if not Path(name).stem.startswith("clang-cl"):
            return "msvc"
        found = shutil.which(name)
        if found is None:
            raise SystemExit(f"fastgmm cannot be built. CC={name} was not found.")
        if not self.compiler.initialized:
            self.compiler.initialize(self.plat_name)
        self.compiler.cc = found
        self.compiler.compile_options = [flag for flag in self.compiler.compile_options if flag != "/GL"]
        self.compiler.add_library_dir(str(Path(found).resolve().parent.parent / "lib"))  # libomp.lib
        return "clang-cl"

    def debug_flags(self, kind):
        """No debug information, nine tenths of a file, unless the user asks for it.  Python's own flags always do."""
        asked = os.environ.get("CXXFLAGS", "").split() + os.environ.get("CPPFLAGS", "").split()
        return ["-g0"] if kind == "unix" and not any(flag.startswith("-g") for flag in asked) else []

    def probe(self, source, flags, link, remedy):
        """Compile a library and link it as the extensions are linked."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.cpp")
            path.write_text(source)
            try:
                objects = self.compiler.compile([str(path)], output_dir=folder, extra_postargs=flags)
                self.compiler.link_shared_object(objects, str(Path(folder, "probe.so")), extra_postargs=link)
            except (CompileError, LinkError) as error:
                raise SystemExit(f"fastgmm cannot be built. {remedy}\n({error})") from None


# One wheel for all Pythons from 3.11 on.  Free-threaded ones have no stable interface before 3.15.
abi3 = is_set("FASTGMM_ABI3") and not sysconfig.get_config_var("Py_GIL_DISABLED")
interface = {"define_macros": [("Py_LIMITED_API", "0x030B0000")], "py_limited_api": True} if abi3 else {}

headers = [str(path) for pattern in ("*.hpp", "*.pxi", "kernels.cpp") for path in Path(KERNELS).glob(pattern)]
extensions = [Extension("fastgmm._kernels._cpu", [f"{KERNELS}/_cpu.pyx"], language="c++", **interface)]
extensions += [
    Extension(
        f"fastgmm._kernels._{name}",
        [f"{KERNELS}/_{name}.pyx"],
        include_dirs=[KERNELS],
        depends=headers,
        language="c++",
        **interface,
    )
    for name in VARIANTS
]
Options.buffer_max_dims = 4  # the glue copies memory views: 3 dimensions are the most, and the default of 8 is slower
directives = dict.fromkeys(("cdivision", "freethreading_compatible"), True)
directives |= dict.fromkeys(("boundscheck", "wraparound", "initializedcheck"), False)
setup(
    ext_modules=cythonize(extensions, compiler_directives=directives),
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if abi3 else {},
)
