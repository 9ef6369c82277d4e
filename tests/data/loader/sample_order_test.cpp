#include <flamingo/data/loader/sample_order.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace sample_order_test {

using namespace flamingo;

namespace {

const std::vector<std::int64_t> shards{7, 0, 13, 1, 40, 0};
constexpr std::int64_t all = 61;

std::vector<SamplePlace> places(SampleOrder& order, std::int64_t first, std::int64_t count) {
  std::vector<SamplePlace> found;
  for (std::int64_t n = first; n < first + count; ++n) found.push_back(order.at(n));
  return found;
}

}  // namespace

TEST_CASE("each epoch has every sample once, in another order", "[sample_order]") {
  for (const int buffer : {1, 2, 10, 61, 1000}) {
    SampleOrder order(shards, 3, true, buffer);
    CHECK(order.size() == all);
    std::vector<std::vector<std::pair<std::size_t, std::int64_t>>> epochs;
    for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
      std::vector<std::pair<std::size_t, std::int64_t>> seen;
      for (const SamplePlace& place : places(order, epoch * all, all)) {
        CHECK((place.epoch == epoch && place.index == static_cast<std::int64_t>(seen.size())));
        seen.emplace_back(place.shard, place.sample);
      }
      CHECK(std::set(seen.begin(), seen.end()).size() == all);
      for (const auto& [shard, sample] : seen) CHECK((sample >= 0 && sample < shards.at(shard)));
      if (buffer > 2) CHECK(std::count(epochs.begin(), epochs.end(), seen) == 0);
      epochs.push_back(std::move(seen));
    }
  }
  SampleOrder plain(shards, 3, false, 10);
  CHECK(plain.at(7) == SamplePlace{2, 0, 0, 7});
  CHECK(plain.at(all + 20) == SamplePlace{3, 0, 1, 20});
}

TEST_CASE("a place does not depend on what was asked before", "[sample_order]") {
  SampleOrder order(shards, 5, true, 9);
  const auto straight = places(order, 0, 5 * all);
  for (const std::int64_t n : {301, 0, 122, 60, 61, 299, 7, 300})
    if (n < 5 * all) CHECK(SampleOrder(shards, 5, true, 9).at(n) == straight[static_cast<std::size_t>(n)]);
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    const int n = random.below(5 * all);
    CHECK(order.at(n) == straight[static_cast<std::size_t>(n)]);
  }
  SampleOrder other(shards, 6, true, 9);
  CHECK(places(other, 0, all) != places(order, 0, all));
}

TEST_CASE("the shuffle's buffer is bounded, and samples change places in it", "[sample_order]") {
  const std::vector<std::int64_t> one{10'000};
  SampleOrder order(one, 2, true, 100);
  double moved = 0;
  for (std::int64_t n = 0; n < 10'000; ++n) {
    const std::int64_t by = std::abs(order.at(n).sample - n);
    CHECK(by < 100);
    moved += static_cast<double>(by);
  }
  CHECK(moved / 10'000 == Approx(100.0 / 3).epsilon(0.05));  // the mean distance of two places in a block
}

TEST_CASE("each sample has random numbers of its own", "[sample_order]") {
  std::set<std::uint64_t> seen;
  for (std::int64_t epoch = 0; epoch < 20; ++epoch)
    for (std::int64_t index = 0; index < 50; ++index) {
      Random random = sample_random(1, epoch, index);
      seen.insert(std::uint64_t{random.bits()} << 32 | random.bits());
    }
  CHECK(seen.size() == 1000);
}

TEST_CASE("orders that make no sense are refused", "[sample_order]") {
  const std::vector<std::int64_t> none{0, 0}, negative{3, -1};
  CHECK_THROWS_WITH(SampleOrder(none, 1, true, 10), Catch::Contains("got 0 samples"));
  CHECK_THROWS_WITH(SampleOrder(negative, 1, true, 10), Catch::Contains("a shard has -1 samples"));
  CHECK_THROWS_WITH(SampleOrder(shards, 1, true, 0), Catch::Contains("a shuffle buffer of 0"));
}

}  // namespace sample_order_test
