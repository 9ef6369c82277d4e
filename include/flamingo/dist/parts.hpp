/// A flat buffer's numbers divided between processes.
#pragma once
#include <algorithm>
#include <cstddef>

namespace flamingo::dist {

/// Numbers begin ... end - 1 of a buffer.
struct Range {
  std::size_t begin = 0, end = 0;

  constexpr std::size_t size() const { return end - begin; }
  constexpr bool empty() const { return begin == end; }
  friend constexpr bool operator==(const Range&, const Range&) = default;
};

/// Parts begin at multiples of so many numbers of the whole buffer, so what lies in blocks of as many (moments of 8
/// bits) is divided between blocks.
inline constexpr std::size_t grain = 256;

constexpr std::size_t rounded_up(std::size_t number) { return (number + grain - 1) / grain * grain; }
constexpr std::size_t rounded_down(std::size_t number) { return number / grain * grain; }

/// A range as `processes` parts, one after another, as equal as the grain allows; the last may be small or empty.
struct Parts {
  Range all;
  int processes = 1;

  constexpr Range of(int rank) const {
    const std::size_t each =
        rounded_up((all.size() + static_cast<std::size_t>(processes) - 1) / static_cast<std::size_t>(processes));
    return {border(static_cast<std::size_t>(rank) * each), border((static_cast<std::size_t>(rank) + 1) * each)};
  }

 private:
  constexpr std::size_t border(std::size_t offset) const {
    if (offset == 0) return all.begin;
    return std::clamp(rounded_down(all.begin + offset), all.begin, all.end);
  }
};

}  // namespace flamingo::dist
