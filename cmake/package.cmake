# cpack: a Debian package and a tarball of what is installed (cmake/install.cmake). Nothing is built for them.
#
# Who answers for a package is who builds it, told as Debian's own tools are (man debchange): by DEBFULLNAME and DEBEMAIL; else
# as the project, at this user's address on this machine.
if(NOT "$ENV{DEBEMAIL}" STREQUAL "")
  set(address $ENV{DEBEMAIL})
else()
  execute_process(COMMAND id -un OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  cmake_host_system_information(RESULT host QUERY FQDN)
  if(EXISTS /etc/mailname)
    file(STRINGS /etc/mailname host LIMIT_COUNT 1)
  endif()
  set(address ${user}@${host})
endif()
if("${address}" MATCHES "<.+>$")
  set(contact "${address}")  # DEBEMAIL may have the name as well
elseif(NOT "$ENV{DEBFULLNAME}" STREQUAL "")
  set(contact "$ENV{DEBFULLNAME} <${address}>")
else()
  set(contact "flamingo project <${address}>")
endif()

set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY TRUE)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_NAME flamingo)
set(CPACK_PACKAGE_VENDOR flamingo)
set(CPACK_PACKAGE_CONTACT "${contact}" CACHE STRING "Who answers for the packages: NAME <ADDRESS>")
set(CPACK_PACKAGE_FILE_NAME flamingo-${PROJECT_VERSION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_DEBIAN_PACKAGE_NAME libflamingo-dev)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libeigen3-dev (>= 3.4)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libstb-dev, libjpeg-dev, libpng-dev, libsentencepiece-dev, libavformat-dev, \
libavcodec-dev, libswscale-dev, libgumbo-dev, zlib1g-dev, libopenmpi-dev")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Flamingo visual language model as a C++20 header-only library")
set(CPACK_PACKAGE_DESCRIPTION "Vision encoders, Perceiver Resampler, gated cross-attention and decoders\n\
as templates whose sizes are known while compiling: training, generation\n\
and scoring on the CPU (Eigen) and on CUDA. Recommended and suggested\n\
packages are what its components need.")
# What Debian asks of every package besides what is installed: its licence and its changes, in a folder of its name.
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/debian_doc.cmake)
set(CPACK_FLAMINGO_NOTICE ${PROJECT_SOURCE_DIR}/NOTICE)
include(CPack)
