# -march=native for what is built here. A build folder belongs to one instruction set: objects that another machine
# left in a shared checkout would run into illegal instructions, so such a folder is refused.
execute_process(COMMAND ${PROJECT_SOURCE_DIR}/cmake/isa ${CMAKE_CXX_COMPILER}
  OUTPUT_VARIABLE isa OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(DEFINED FLAMINGO_ISA AND NOT FLAMINGO_ISA STREQUAL isa)
  message(FATAL_ERROR "${PROJECT_BINARY_DIR} was configured for ${FLAMINGO_ISA} and this machine is ${isa}: "
    "use another build folder")
endif()
set(FLAMINGO_ISA ${isa} CACHE INTERNAL "Instruction set of this build folder")
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-march=native>)
# g++ 12 takes what the intrinsics of AVX-512 leave undefined for an oversight (GCC's bug 105593).
if(isa MATCHES "^avx512" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-uninitialized> $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
endif()
