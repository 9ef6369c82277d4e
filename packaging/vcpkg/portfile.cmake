# An overlay port of this tree: vcpkg install "flamingo[cpu]" --overlay-ports=PATH/packaging/vcpkg
set(VCPKG_BUILD_TYPE release)  # headers alone
get_filename_component(SOURCE_PATH ${CMAKE_CURRENT_LIST_DIR}/../.. REALPATH)

vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}" OPTIONS
  -DFLAMINGO_TESTS=OFF -DFLAMINGO_BENCH=OFF -DFLAMINGO_EXAMPLES=OFF -DFLAMINGO_INSTALL_CMAKEDIR=share/flamingo)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup()
vcpkg_fixup_pkgconfig()
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE" "${SOURCE_PATH}/NOTICE")
