// flamingo-config FOLDER | --preset PRESET [--name NAME] [--output FILE] [--fields]: the C++ config of a checkpoint or
// of a preset, ready to include, with its sizes; for the paper's own models a plan of their memory too.
// In a build, flamingo_config(TARGET FOLDER) of cmake/checkpoint_config.cmake does it.
#include <string>
#include <string_view>

#include <flamingo/config/presets/flamingo.hpp>
#include <flamingo/model/config_report.hpp>

/// Compiled in plan.cpp, one for each preset.
template <auto C>
std::string plan_of();
template <>
std::string plan_of<flamingo::presets::flamingo_3b>();
template <>
std::string plan_of<flamingo::presets::flamingo_9b>();
template <>
std::string plan_of<flamingo::presets::flamingo_80b>();

int main(int count, char** arguments) {
  const auto plan = [](std::string_view preset) {
    using namespace flamingo::presets;
    return preset == "flamingo_3b"    ? plan_of<flamingo_3b>()
           : preset == "flamingo_9b"  ? plan_of<flamingo_9b>()
           : preset == "flamingo_80b" ? plan_of<flamingo_80b>()
                                      : std::string();
  };
  return flamingo::flamingo_config({arguments + 1, arguments + count}, plan);
}
