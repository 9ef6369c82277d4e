// The memory plans of the paper's own models: their layers are compiled for Dry, all in one translation unit, because
// they share the encoder and most of the Resampler.
#include <string>
#include <string_view>

#include <flamingo/config/presets/flamingo.hpp>
#include <flamingo/memory_plan.hpp>

std::string plan_of(std::string_view preset) {
  using namespace flamingo;
  if (preset == "flamingo_3b") return memory_plan_text<presets::flamingo_3b, Cpu<float>>();
  if (preset == "flamingo_9b") return memory_plan_text<presets::flamingo_9b, Cpu<float>>();
  if (preset == "flamingo_80b") return memory_plan_text<presets::flamingo_80b, Cpu<float>>();
  return {};
}
