/// How often each run of one to four words stands in a caption.
#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <flamingo/eval/metrics/words.hpp>

namespace flamingo {

struct Ngrams {
  static constexpr std::size_t longest = 4;
  std::array<std::unordered_map<std::string, int>, longest> counts;  ///< by n - 1; words joined by a unit separator
  std::size_t words = 0;

  explicit Ngrams(std::string_view caption) {
    const std::vector<std::string> all = words_of(caption);
    words = all.size();
    for (std::size_t first = 0; first < words; ++first) {
      std::string run;
      for (std::size_t n = 0; n < longest && first + n < words; ++n) {
        if (n > 0) run += '\x1f';
        run += all[first + n];
        ++counts[n][run];
      }
    }
  }
};

}  // namespace flamingo
