/// What the CPU says of the same vision encoders in double, compiled without CUDA's vocabulary.
#include <flamingo/cpu.hpp>

#include "kernels/cuda/vision_layers.hpp"

namespace flamingo::test {

template Results vision_transformers<Cpu<double, Isa::portable>>();
template Results convolutional_encoders<Cpu<double, Isa::portable>>();

}  // namespace flamingo::test
