# Installs headers and CMake files, nothing else: find_package(flamingo 0.1 CONFIG COMPONENTS cpu stb text)
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(flamingo_package ${CMAKE_INSTALL_DATADIR}/cmake/flamingo)

foreach(component flamingo cpu stb images text video web cuda)
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
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/flamingo-config.cmake ${PROJECT_BINARY_DIR}/flamingo-config-version.cmake
  cmake/checkpoint_config.cmake cmake/cpu_kernels.cmake
  DESTINATION ${flamingo_package})
