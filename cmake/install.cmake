# Installs headers, CMake files, pkg-config files and the licence; nothing is built.
#   find_package(flamingo 1 CONFIG COMPONENTS cpu stb text)        pkg-config --cflags flamingo-cpu
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(FLAMINGO_INSTALL_CMAKEDIR ${CMAKE_INSTALL_DATADIR}/cmake/flamingo CACHE STRING "Where CMake's files go")
mark_as_advanced(FLAMINGO_INSTALL_CMAKEDIR)
set(flamingo_package ${FLAMINGO_INSTALL_CMAKEDIR})

foreach(component flamingo cpu stb images text video web mpi cuda)
  set_target_properties(flamingo_${component} PROPERTIES EXPORT_NAME ${component})
  set(files "")
  if(component STREQUAL "flamingo")
    set(files FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  endif()
  install(TARGETS flamingo_${component} EXPORT flamingo-${component} ${files})
  install(EXPORT flamingo-${component} NAMESPACE flamingo:: DESTINATION ${flamingo_package})
endforeach()

configure_package_config_file(cmake/flamingo-config.cmake.in ${PROJECT_BINARY_DIR}/flamingo-config.cmake
  INSTALL_DESTINATION ${flamingo_package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/flamingo-config-version.cmake
  COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/flamingo-config.cmake ${PROJECT_BINARY_DIR}/flamingo-config-version.cmake
  cmake/checkpoint_config.cmake cmake/cpu_kernels.cmake
  DESTINATION ${flamingo_package})
install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/flamingo)

# A .pc file for each component that has one's libraries to name (CUDA has none): found from where it lies, so that a
# prefix may be moved. flamingo_pkg_config(component description requires flags libraries)
function(flamingo_pkg_config component description requires flags libraries)
  if(component STREQUAL "flamingo")
    set(name flamingo)
  else()
    set(name flamingo-${component})
  endif()
  file(RELATIVE_PATH up /${CMAKE_INSTALL_DATADIR}/pkgconfig /)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${name}.pc @ONLY CONTENT [[
prefix=${pcfiledir}/@up@
includedir=${prefix}/@CMAKE_INSTALL_INCLUDEDIR@

Name: @name@
Description: @description@
Version: @PROJECT_VERSION@
Requires: @requires@
Cflags: @flags@
Libs: @libraries@
]])
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
endfunction()
flamingo_pkg_config(flamingo "${PROJECT_DESCRIPTION}" "" "-I\${includedir}" "")
flamingo_pkg_config(cpu "flamingo on the CPU" "flamingo eigen3 >= 3.4" "-pthread" "-pthread")
flamingo_pkg_config(stb "flamingo reading pictures by stb_image.h" flamingo "" "")  # stb.pc names a library: not needed
flamingo_pkg_config(images "flamingo reading pictures by libjpeg-turbo and libpng" "flamingo-stb libjpeg libpng" "" "")
flamingo_pkg_config(text "flamingo reading SentencePiece models" "flamingo sentencepiece" "" "")
flamingo_pkg_config(video "flamingo reading videos" "flamingo libavformat libavcodec libswscale libavutil" "" "")
flamingo_pkg_config(web "flamingo extracting documents from webpages" "flamingo-images gumbo zlib" "" "")
flamingo_pkg_config(mpi "flamingo over several processes" "flamingo mpi-c" "-pthread" "-pthread")
