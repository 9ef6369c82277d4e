/// The subcommands of flamingo-data: each is a function in a file of its own name and a line in flamingo_data.cpp.
#pragma once
#include <span>
#include <string>

namespace flamingo::data_command {

/// What follows the subcommand on the command line.
using Arguments = std::span<const std::string>;

int extract(Arguments arguments);
int pack(Arguments arguments);
int inspect(Arguments arguments);
int stats(Arguments arguments);
int verify(Arguments arguments);

}  // namespace flamingo::data_command
