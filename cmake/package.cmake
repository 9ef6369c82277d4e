# cpack: a Debian package and a tarball of what is installed (cmake/install.cmake). Nothing is built for them.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY TRUE)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_NAME flamingo)
set(CPACK_PACKAGE_VENDOR flamingo)
set(CPACK_PACKAGE_CONTACT "the flamingo authors <flamingo@localhost>" CACHE STRING "Who answers for the packages")
set(CPACK_PACKAGE_FILE_NAME flamingo-${PROJECT_VERSION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_DEBIAN_PACKAGE_NAME libflamingo-dev)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libeigen3-dev (>= 3.4)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libstb-dev, libjpeg-dev, libpng-dev, libsentencepiece-dev, libavformat-dev, \
libavcodec-dev, libswscale-dev, libgumbo-dev, zlib1g-dev, libopenmpi-dev")
set(CPACK_PACKAGE_DESCRIPTION "Vision encoders, Perceiver Resampler, gated cross-attention and decoders as templates \
whose sizes are known while compiling: training, generation and scoring on the CPU (Eigen) and on CUDA. Recommended and \
suggested packages are what its components need.")
include(CPack)
