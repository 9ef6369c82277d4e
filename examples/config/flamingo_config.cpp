// flamingo-config FOLDER | --preset PRESET [--name NAME] [--output FILE] [--fields]: the C++ config of a checkpoint or
// of a preset, ready to include, with its sizes; for the paper's own models a plan of their memory too.
// In a build, flamingo_config(TARGET FOLDER) of cmake/checkpoint_config.cmake does it.
#include <flamingo/model/config_report.hpp>

/// Of the presets that plans.cpp knows.
std::string plan_of(std::string_view preset);

int main(int count, char** arguments) { return flamingo::flamingo_config({arguments + 1, arguments + count}, plan_of); }
