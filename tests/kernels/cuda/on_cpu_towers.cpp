/// What the CPU says of the same towers and pairs in double, compiled without CUDA's vocabulary.
#include <flamingo/cpu.hpp>

#include "kernels/cuda/pair_model.hpp"
#include "kernels/cuda/towers.hpp"

namespace flamingo::test {

template Results towers<Cpu<double, Isa::portable>>();
template std::vector<double> trained_pairs<Cpu<double, Isa::portable>>(int);

}  // namespace flamingo::test
