// flamingo-data: from raw files to training data. Without arguments it lists its subcommands.
#include <array>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "commands.hpp"

namespace {

using namespace flamingo;

struct Command {
  std::string_view name, summary;
  int (*run)(data_command::Arguments);
};

constexpr std::array commands{
    Command{"extract", "webpages (files, folders, WARC archives) -> documents", &data_command::extract},
    Command{"pack", "documents, and lists of captioned pictures and videos -> shards", &data_command::pack},
    Command{"inspect", "shards -> a page that shows documents as a model sees them", &data_command::inspect},
    Command{"stats", "what shards hold", &data_command::stats},
    Command{"verify", "whether every sample of shards can be read", &data_command::verify},
};

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> arguments(words + 1, words + count);
  try {
    for (const Command& command : commands)
      if (!arguments.empty() && arguments[0] == command.name)
        return command.run(data_command::Arguments(arguments).subspan(1));
  } catch (const std::exception& error) {
    std::cerr << "flamingo-data " << arguments[0] << ": " << error.what() << '\n';
    return 1;
  }
  std::ostream& out = arguments.empty() || arguments[0] == "--help" ? std::cout : std::cerr;
  if (&out == &std::cerr) out << "flamingo-data: there is no subcommand '" << arguments[0] << "'\n";
  for (const Command& command : commands) out << "flamingo-data " << command.name << "  " << command.summary << '\n';
  return &out == &std::cerr ? 2 : 0;
}
