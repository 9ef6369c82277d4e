/// What the CPU says of the same runs in double, compiled without CUDA's vocabulary.
#include <flamingo/cpu.hpp>

#include "kernels/cuda/layers.hpp"
#include "kernels/cuda/operations.hpp"
#include "kernels/cuda/relative_attention.hpp"
#include "kernels/cuda/text_model.hpp"
#include "kernels/cuda/text_operations.hpp"
#include "kernels/cuda/vision_operations.hpp"

namespace flamingo::test {

template Results operations<Cpu<double, Isa::portable>>();
template Results vision_operations<Cpu<double, Isa::portable>>();
template Results relative_attention<Cpu<double, Isa::portable>>();
template std::vector<double> text_model<text_mpt, Cpu<double, Isa::portable>>();
template std::vector<double> text_model<text_neox, Cpu<double, Isa::portable>>();
template std::vector<double> text_model<text_chinchilla, Cpu<double, Isa::portable>>();
template std::vector<double> asked_text<text_chinchilla, Cpu<double, Isa::portable>>();
template SteppedText stepped_text<text_mpt, Cpu<double, Isa::portable>>();
template SteppedText stepped_text<text_neox, Cpu<double, Isa::portable>>();
template Results text_operations<Cpu<double, Isa::portable>>();
template Results layers<Cpu<double, Isa::portable>>();

}  // namespace flamingo::test
