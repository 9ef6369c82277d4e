// check_tokenizers FOLDER: compares the tokenizers of a folder with its golden.json (tokenizers.hpp), one line a model.
// Ends with 1 where any differs.
#include "check/tokenizers.hpp"

#include <cstdio>

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: check_tokenizers FOLDER\n");
    return 2;
  }
  try {
    bool all = true;
    for (const auto& r : flamingo::test::check_tokenizers(arguments[1])) {
      if (r.error.empty())
        std::printf("%s: %d strings, %d wrong ids, %d wrong pieces, %d wrong decodes, %d other differences\n",
                    r.name.c_str(), r.strings, r.wrong_ids, r.wrong_pieces, r.wrong_decodes, r.wrong_others);
      else
        std::printf("%s: cannot be read: %s\n", r.name.c_str(), r.error.c_str());
      if (!r.first.empty()) std::printf("  %s\n", r.first.c_str());
      all = all && r.agrees();
    }
    return all ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
