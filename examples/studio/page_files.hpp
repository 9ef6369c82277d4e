/// The files of page/, put into the program while it is built.
#pragma once
#include <span>
#include <string_view>

namespace studio {

struct PageFile {
  std::string_view path, type, content;
};
extern const std::span<const PageFile> page_files;

}  // namespace studio
