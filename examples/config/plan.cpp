// The memory plan of one preset, FLAMINGO_PRESET: its layers are compiled for Dry, which is why each preset is a
// translation unit of its own.
#include <string>

#include <flamingo/config/presets/by_name.hpp>
#include <flamingo/memory_plan.hpp>

template <auto C>
std::string plan_of();
template <>
std::string plan_of<flamingo::presets::FLAMINGO_PRESET>() {
  return flamingo::memory_plan_text<flamingo::presets::FLAMINGO_PRESET, flamingo::Cpu<float>>();
}
