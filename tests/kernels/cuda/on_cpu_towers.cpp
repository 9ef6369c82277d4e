/// What the CPU says of the same towers in double, compiled without CUDA's vocabulary.
#include <flamingo/cpu.hpp>

#include "kernels/cuda/towers.hpp"

namespace flamingo::test {

template Results towers<Cpu<double, Isa::portable>>();

}  // namespace flamingo::test
