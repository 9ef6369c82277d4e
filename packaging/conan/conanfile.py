"""flamingo out of this tree: conan create packaging/conan [-o "flamingo/*:text=True"] ..."""
import pathlib
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain
from conan.tools.files import copy

# What each component needs; Eigen is the default's. The component cuda is the toolkit's matter: nothing to require.
NEEDS = {"cpu": ["eigen/3.4.0"],
         "stb": ["stb/[*]"],
         "images": ["stb/[*]", "libjpeg-turbo/[>=2]", "libpng/[>=1.6 <2]"],
         "text": ["sentencepiece/[>=0.1]"],
         "video": ["ffmpeg/[>=5]"],
         "web": ["stb/[*]", "libjpeg-turbo/[>=2]", "libpng/[>=1.6 <2]", "zlib/[>=1.2 <2]", "gumbo-parser/[*]"],
         "mpi": ["openmpi/[>=4]"]}


class Flamingo(ConanFile):
    name = "flamingo"
    license = "Apache-2.0"
    description = "The Flamingo visual language model as a C++20 header-only library"
    topics = ("vision-language", "transformer", "header-only", "cuda")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {component: [True, False] for component in NEEDS}
    default_options = {component: component == "cpu" for component in NEEDS}
    no_copy_source = True

    @property
    def tree(self):
        return pathlib.Path(self.recipe_folder).parents[1]

    def set_version(self):
        header = (self.tree / "include/flamingo/version.hpp").read_text()
        self.version = ".".join(re.findall(r"#define FLAMINGO_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header))

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "NOTICE", "cmake/*", "include/*"):
            copy(self, pattern, self.tree, self.export_sources_folder)

    def requirements(self):
        for package in sorted({p for component, packages in NEEDS.items() if self.options.get_safe(component)
                               for p in packages}):
            self.requires(package, transitive_headers=True, transitive_libs=True)

    def validate(self):
        if self.settings.get_safe("compiler.cppstd"):
            check_min_cppstd(self, 20)

    def package_id(self):
        self.info.clear()

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for what in ("TESTS", "BENCH", "EXAMPLES"):
            toolchain.cache_variables[f"FLAMINGO_{what}"] = False
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()

    def package_info(self):
        # The library's own flamingo-config.cmake is used, with its components.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs.append("share/cmake/flamingo")
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
