# Whose matrix products flamingo::cpu computes with: ours, or Eigen's. The choice is part of the platform's type
# (core/platform.hpp), so objects of both may be linked into one program; a target's property of this name overrules it.
set(FLAMINGO_CPU_KERNELS own CACHE STRING "Matrix products of flamingo::cpu: own or eigen")
set_property(CACHE FLAMINGO_CPU_KERNELS PROPERTY STRINGS own eigen)
if(NOT FLAMINGO_CPU_KERNELS MATCHES "^(own|eigen)$")
  message(FATAL_ERROR "FLAMINGO_CPU_KERNELS is '${FLAMINGO_CPU_KERNELS}', expected own or eigen")
endif()
set(flamingo_cpu_kernels "$<TARGET_PROPERTY:FLAMINGO_CPU_KERNELS>")
string(CONCAT flamingo_cpu_definitions "$<$<STREQUAL:$<IF:$<BOOL:${flamingo_cpu_kernels}>,${flamingo_cpu_kernels},"
  "${FLAMINGO_CPU_KERNELS}>,eigen>:FLAMINGO_CPU_KERNELS=eigen>")
