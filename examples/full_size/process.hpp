/// What the programs at full size share: the pictures they show, and what they tell of themselves: the time, and the
/// memory that the system counts.
#pragma once
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace full_size {

/// Seconds since it was made.
class Clock {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count(); }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

/// A line of /proc/self/status in bytes.
inline double status(std::string_view name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name)) return 1024 * std::atof(line.c_str() + name.size() + 1);
  return 0;
}

/// The five of examples/pictures that are shown where none is named.
inline std::vector<std::string> own_pictures() {
  std::vector<std::string> paths;
  for (const char* name : {"cat", "cup_of_coffee", "rocket", "coins", "astronaut"})
    paths.push_back(FLAMINGO_PICTURES + std::string("/") + name + ".jpg");
  return paths;
}

}  // namespace full_size
