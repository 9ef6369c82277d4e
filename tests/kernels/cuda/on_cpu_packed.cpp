/// What the CPU says of the model with packed weights, compiled without CUDA's vocabulary.
#include <flamingo/cpu.hpp>

#include "kernels/cuda/packed_model.hpp"

namespace flamingo::test {

template ModelReport packed_model<Cpu<double, Isa::portable>>(int);

}  // namespace flamingo::test
