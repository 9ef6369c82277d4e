/// Which checkpoint a folder holds.
#pragma once
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "program.hpp"

#include <flamingo/core/random.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace evaluation {

/// A hash of the names, sizes and bytes of a folder's files. Of one of more than 32 MiB 8192 blocks of 4 KiB are read,
/// at equal distances: a step of training changes all weights, and gigabytes are not read for it.
inline std::string hash_of_folder(const fs::path& folder) {
  constexpr std::size_t block = std::size_t{1} << 12, most_blocks = std::size_t{1} << 13;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string told;
  for (const fs::path& path : files) {
    const flamingo::io::MappedFile file(path);
    const std::string_view bytes = file.text();
    told += fs::relative(path, folder).string() + " " + std::to_string(bytes.size());
    const std::size_t blocks = (bytes.size() + block - 1) / block, read = std::min(blocks, most_blocks);
    // From the first block to the last, at equal distances.
    for (std::size_t i = 0; i < read; ++i) {
      const std::size_t at = read == 1 ? 0 : i * (blocks - 1) / (read - 1);
      told += " " + std::to_string(flamingo::hash(bytes.substr(at * block, block)));
    }
    told += "\n";
  }
  return hash_of(told);
}

}  // namespace evaluation
