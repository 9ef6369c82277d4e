// flamingo-config FOLDER [--name NAME] [--output FILE] [--fields]: the C++ config of a checkpoint, ready to include.
// In a build, flamingo_config(TARGET FOLDER) of cmake/checkpoint_config.cmake does it.
#include <flamingo/model/config_report.hpp>

int main(int count, char** arguments) { return flamingo::flamingo_config({arguments + 1, arguments + count}); }
