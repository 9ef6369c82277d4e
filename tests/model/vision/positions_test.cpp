#include <flamingo/model/vision/positions.hpp>

#include <catch2/catch.hpp>
#include <string>

#include "support/compare.hpp"
#include "support/golden.hpp"

namespace positions_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// (1, channels, side, side) of a golden as rows, read at a grid of `to` x `to`.
Tensor<double> resampled(const io::TensorView& tensor, int to, bool antialias) {
  const int channels = static_cast<int>(tensor.shape[1]), from = static_cast<int>(tensor.shape[2]);
  const auto planes = numbers<double>(tensor);
  const CubicAxis axis{from, to, static_cast<double>(from) / to, antialias};
  const int room = axis.taps() * axis.taps() + 3;
  std::vector<Tap> taps;
  append_cubic(axis, axis, 0, room, taps);
  REQUIRE(taps.size() == static_cast<std::size_t>(to * to * room));
  Tensor<double> y(channels, to * to);
  for (int ch = 0; ch < channels; ++ch)
    for (std::size_t t = 0; t < taps.size(); ++t)
      y(ch, static_cast<int>(t) / room) +=
          static_cast<double>(taps[t].weight) * planes[static_cast<std::size_t>(ch * from * from + taps[t].row)];
  return y;
}

double sum(const std::vector<Tap>& taps) {
  double all = 0;
  for (const Tap& tap : taps) all += static_cast<double>(tap.weight);
  return all;
}

}  // namespace

TEST_CASE("grids are read as PyTorch interpolates them, with and without antialiasing", "[positions]") {
  const io::Safetensors file(golden_path("video_embeddings.safetensors"));
  int compared = 0;
  for (const io::TensorView& out : file.tensors()) {
    const std::string name(out.name);
    if (!name.starts_with("grid.out.")) continue;
    const auto dot = name.rfind('.');
    const std::string sizes = name.substr(9, dot - 9), kind = name.substr(dot + 1);
    const auto ours = resampled(file.at("grid.in." + sizes), static_cast<int>(out.shape.back()), kind == "antialias");
    INFO(name);
    const auto theirs = numbers<double>(out);
    REQUIRE(theirs.size() == ours.size());
    CHECK(distance(ours.data(), theirs.data(), theirs.size()).relative <= 1e-5);
    ++compared;
  }
  CHECK(compared == 4);
}

TEST_CASE("a grid of the table's own size is the table", "[positions]") {
  for (const bool antialias : {false, true})
    for (int i = 0; i < 5; ++i)
      for (const Tap& tap : detail::taps_along({5, 5, 1, antialias}, i))
        CHECK(tap.weight == (tap.row == i && tap.weight != 0 ? 1.0f : 0.0f));
}

TEST_CASE("weights sum to 1, also at the edges and between uneven sizes", "[positions]") {
  for (const bool antialias : {false, true})
    for (const auto& [from, to] : {std::pair{3, 8}, {7, 3}, {5, 1}, {1, 4}, {16, 9}})
      for (const double more : {0.0, 0.1})
        for (int i = 0; i < to; ++i) {
          const CubicAxis axis{from, to, from / (to + more), antialias};
          const auto taps = detail::taps_along(axis, i);
          CHECK(static_cast<int>(taps.size()) == axis.taps());
          CHECK(sum(taps) == Approx(1).epsilon(1e-6));
          for (const Tap& tap : taps) CHECK((tap.row >= 0 && tap.row < from));
        }
}

TEST_CASE("a straight line stays one between the edges", "[positions]") {
  // By the kernel with a = -1/2, which reproduces lines; PyTorch's -3/4 does not.
  const CubicAxis axis{9, 13, 9.0 / 13, true};
  for (int i = 3; i < 10; ++i) {
    double at = 0;
    for (const Tap& tap : detail::taps_along(axis, i)) at += static_cast<double>(tap.weight) * tap.row;
    CHECK(at == Approx((i + 0.5) * axis.step - 0.5).epsilon(1e-6));
  }
}

TEST_CASE("taps need room", "[positions]") {
  std::vector<Tap> taps;
  CHECK_THROWS_WITH(append_cubic({3, 4, 0.75, false}, {3, 4, 0.75, false}, 0, 15, taps),
                    "[positions] a cell reads 16 entries and has room for 15");
}

}  // namespace positions_test
