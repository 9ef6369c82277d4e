/// What the CPU says of the whole model, compiled without CUDA's vocabulary.
#include <flamingo/cpu.hpp>

#include "kernels/cuda/model.hpp"

namespace flamingo::test {

template ModelReport mini_model<Cpu<double, Isa::portable>, connector_alone>(int);
template ModelReport mini_model<Cpu<double, Isa::portable>, every_part>(int);
template ModelReport drawn_model<Cpu<double, Isa::portable>>();

}  // namespace flamingo::test
