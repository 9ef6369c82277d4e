# The library: headers alone, in one target for each thing a host may depend on. No flags but the language's version.
#
#   flamingo::flamingo   configs, operations, layers, models, training: the standard library alone
#   flamingo::cpu        and the kernels for the CPU: Eigen, threads
#   flamingo::stb        and reading image files: stb
#   flamingo::images     and reading them faster, to the very pixels of Pillow: libjpeg-turbo, libpng, stb
#   flamingo::text       and reading SentencePiece models: the SentencePiece library
#   flamingo::cuda       and the kernels for NVIDIA GPUs: the CUDA toolkit (FLAMINGO_CUDA=ON)

# What is found here must be visible in a host that adds this folder as a subdirectory.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL TRUE)
find_package(Eigen3 3.4 QUIET NO_MODULE)
find_package(Threads QUIET)
find_path(FLAMINGO_STB_INCLUDE_DIR stb/stb_image.h DOC "Folder that holds stb/stb_image.h")
find_path(FLAMINGO_SENTENCEPIECE_INCLUDE_DIR sentencepiece_processor.h DOC "Folder of sentencepiece_processor.h")
find_library(FLAMINGO_SENTENCEPIECE_LIBRARY sentencepiece DOC "The SentencePiece library")
mark_as_advanced(FLAMINGO_STB_INCLUDE_DIR FLAMINGO_SENTENCEPIECE_INCLUDE_DIR FLAMINGO_SENTENCEPIECE_LIBRARY)
find_package(JPEG QUIET)
find_package(PNG QUIET)

file(GLOB_RECURSE flamingo_headers CONFIGURE_DEPENDS include/flamingo/*.hpp include/flamingo/*.cuh)
add_library(flamingo_flamingo INTERFACE)
target_compile_features(flamingo_flamingo INTERFACE cxx_std_20)
target_sources(flamingo_flamingo INTERFACE
  FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${flamingo_headers})

foreach(component cpu stb images text cuda)
  add_library(flamingo_${component} INTERFACE)
  target_link_libraries(flamingo_${component} INTERFACE flamingo_flamingo)
endforeach()
target_link_libraries(flamingo_cpu INTERFACE Eigen3::Eigen Threads::Threads)
target_link_libraries(flamingo_cuda INTERFACE CUDA::cudart CUDA::cublas CUDA::cublasLt)
if(FLAMINGO_STB_INCLUDE_DIR)
  target_include_directories(flamingo_stb SYSTEM INTERFACE $<BUILD_INTERFACE:${FLAMINGO_STB_INCLUDE_DIR}>)
endif()
target_link_libraries(flamingo_images INTERFACE flamingo_stb JPEG::JPEG PNG::PNG)
set(flamingo_images_found FALSE)
if(FLAMINGO_STB_INCLUDE_DIR AND JPEG_FOUND AND PNG_FOUND)
  set(flamingo_images_found TRUE)
endif()
set(flamingo_sentencepiece OFF)
if(FLAMINGO_SENTENCEPIECE_INCLUDE_DIR AND FLAMINGO_SENTENCEPIECE_LIBRARY)
  set(flamingo_sentencepiece ON)
  target_include_directories(flamingo_text SYSTEM INTERFACE $<BUILD_INTERFACE:${FLAMINGO_SENTENCEPIECE_INCLUDE_DIR}>)
  target_link_libraries(flamingo_text INTERFACE $<BUILD_INTERFACE:${FLAMINGO_SENTENCEPIECE_LIBRARY}>)
endif()

if(FLAMINGO_CUDA)
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
endif()

# A component can be named where its dependencies were found; installed, the package looks for them again.
add_library(flamingo::flamingo ALIAS flamingo_flamingo)
set(flamingo_missing "")
macro(flamingo_component name condition needs)
  if(${condition})
    add_library(flamingo::${name} ALIAS flamingo_${name})
  else()
    list(APPEND flamingo_missing "${name} (${needs})")
  endif()
endmacro()
flamingo_component(cpu Eigen3_FOUND "Eigen 3.4")
flamingo_component(stb FLAMINGO_STB_INCLUDE_DIR "stb/stb_image.h")
flamingo_component(images flamingo_images_found "stb/stb_image.h, libjpeg-turbo, libpng")
flamingo_component(text flamingo_sentencepiece "SentencePiece")
flamingo_component(cuda FLAMINGO_CUDA "FLAMINGO_CUDA=ON")
if(flamingo_missing)
  list(JOIN flamingo_missing ", " flamingo_missing)
  message(STATUS "flamingo ${PROJECT_VERSION}, without: ${flamingo_missing}")
endif()
