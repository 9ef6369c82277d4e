/// Checks of NFNets' sizes against timm's: {"dm_nfnet_f0": {depths, channels, num_features, params_without_head,
/// params_with_1000_class_head, "feature_shape": {"192x192": [1, D, height, width], ...}}, ...}
#pragma once
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/model/parameter_counts.hpp>
#include <flamingo/ops/grid.hpp>

namespace flamingo::test {

struct NfNetShapes {
  int numbers = 0, wrong = 0;
  std::string first;  ///< what differs first
};

inline NfNetShapes check_nfnet_shapes(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  const io::Json all = io::Json::parse(file.text(), path.string());
  NfNetShapes report;
  for (const auto& [model, theirs] : all.as_object()) {
    const auto compare = [&, name = model](std::int64_t ours, const io::Json& found, const std::string& what) {
      ++report.numbers;
      if (ours != static_cast<std::int64_t>(found.as_double()) && report.wrong++ == 0)
        report.first = std::string(name) + ": " + what + " is " + std::to_string(ours);
    };
    const auto stages = [&, &values = theirs](std::string_view key) {
      std::array<int, NfNet::stages> four{};
      const auto& list = values.at(key).as_array();
      check(list.size() == four.size(), "nfnet_shapes", path, ": ", key, " has ", list.size(), " numbers, expected 4");
      for (std::size_t i = 0; i < four.size(); ++i) four[i] = static_cast<int>(list[i].as_double());
      return four;
    };
    NfNet c{.depths = stages("depths"), .widths = stages("channels")};
    c.head = static_cast<int>(theirs.at("num_features").as_double());
    compare(parameter_count_of(c), theirs.at("params_without_head"), "the number of parameters");
    c.classes = 1000;
    compare(parameter_count_of(c), theirs.at("params_with_1000_class_head"), "their number with 1000 classes");
    for (const auto& [side, shape] : theirs.at("feature_shape").as_object()) {
      Grid grid{0, 0, 0};
      const std::string size(side);
      check(std::sscanf(size.c_str(), "%dx%d", &grid.height, &grid.width) == 2, "nfnet_shapes", path, ": '", size,
            "' is no HEIGHTxWIDTH");
      for (const int stride : {2, 2, c.strides[0], c.strides[1], c.strides[2], c.strides[3]})
        grid = windows_of(grid, square(3, stride));
      const auto& extents = shape.as_array();
      check(extents.size() == 4, "nfnet_shapes", path, ": a shape has ", extents.size(), " extents, expected 4");
      compare(c.dim(), extents[1], "the width of features of " + size);
      compare(grid.height, extents[2], "the height of features of " + size);
      compare(grid.width, extents[3], "the width of their grid of " + size);
    }
  }
  check(report.numbers > 0, "nfnet_shapes", path, " holds no models");
  return report;
}

}  // namespace flamingo::test
