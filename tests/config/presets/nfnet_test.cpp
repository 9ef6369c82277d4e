#include <flamingo/config/presets/nfnet.hpp>

#include <catch2/catch.hpp>

#include <flamingo/dry.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/model/parameter_counts.hpp>
#include <flamingo/model/vision/nfnet.hpp>

#include "support/golden.hpp"

namespace presets_nfnet_test {

using namespace flamingo;

namespace {

using P = Dry<Cpu<float>>;

const io::Json& shapes() {
  static const io::Json all =
      io::Json::parse(std::string(io::MappedFile(test::golden_path("nfnet_shapes.json")).text()), "nfnet_shapes.json");
  return all;
}

template <NfNet C>
void check_published(int n) {
  using Net = model::NormFreeNet<C, P>;
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

namespace {

/// Billions of multiply-adds for a picture at the resolution of the test.
template <NfNet C>
double multiply_adds() {
  using Net = model::NormFreeNet<C, P>;
  Context<P> ctx;
  const std::vector<Grid> grids{{0, C.image, C.image}};
  const auto x = keep<3>(ctx, C.image * C.image);
  const auto y = keep<Net::D>(ctx, Net::features(grids[0]).rows());
  Net::forward(ctx, typename Net::template Parameters<Stored<P>>{}, x, grids, y);
  return ctx.operations() / 2e9;
}

}  // namespace

TEST_CASE("NFNet-F0 and F6 take the published operations", "[presets][nfnet]") {
  // Brock et al. 2021: 12.38 and 377.28 billion, the classifier's 0.003 among them.
  CHECK(multiply_adds<presets::nfnet_f0>() == Approx(12.38).margin(0.005));
  CHECK(multiply_adds<presets::nfnet_f6>() == Approx(377.28).margin(0.005));
}

}  // namespace presets_nfnet_test
