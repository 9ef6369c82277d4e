#include <flamingo/config/presets/nfnet.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/model/parameter_counts.hpp>
#include <flamingo/model/vision/nfnet.hpp>

#include "support/golden.hpp"

using namespace flamingo;

namespace {

const io::Json& shapes() {
  static const io::Json all =
      io::Json::parse(std::string(io::MappedFile(test::golden_path("nfnet_shapes.json")).text()), "nfnet_shapes.json");
  return all;
}

template <NfNet C>
void check_published(int n) {
  using Net = model::NormFreeNet<C, Cpu<float>>;
  const io::Json& theirs = shapes().at("dm_nfnet_f" + std::to_string(n));
  INFO("F" << n);
  const auto whole = static_cast<std::int64_t>(theirs.at("params_with_1000_class_head").as_double()),
             alone = static_cast<std::int64_t>(theirs.at("params_without_head").as_double());
  CHECK(parameter_count_of(presets::with_classifier(C)) == whole);
  CHECK(parameter_count_of(C) == alone);
  CHECK(static_cast<std::int64_t>(parameter_count<Net>()) == alone);  // the layer's own list
  CHECK(C.image == static_cast<int>(theirs.at("test_size").as_double()));
  std::size_t sizes = 0;
  for (const auto& member : theirs.at("feature_shape").as_object()) {
    const int side = std::stoi(std::string(member.name));
    const auto& shape = member.value.as_array();
    const Grid grid = Net::features({0, side, side});
    CHECK(Net::D == static_cast<int>(shape[1].as_double()));
    CHECK(grid.height == static_cast<int>(shape[2].as_double()));
    CHECK(grid.width == static_cast<int>(shape[3].as_double()));
    ++sizes;
  }
  CHECK(sizes >= 4);
}

}  // namespace

TEST_CASE("NFNet-F0 to F6 have the published parameters and features", "[presets][nfnet]") {
  check_published<presets::nfnet_f0>(0);
  check_published<presets::nfnet_f1>(1);
  check_published<presets::nfnet_f2>(2);
  check_published<presets::nfnet_f3>(3);
  check_published<presets::nfnet_f4>(4);
  check_published<presets::nfnet_f5>(5);
  check_published<presets::nfnet_f6>(6);
  CHECK(parameter_count_of(presets::with_classifier(presets::nfnet_f6)) == 438'359'116);
}
