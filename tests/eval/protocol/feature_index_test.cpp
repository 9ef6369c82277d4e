#include <flamingo/eval/protocol/feature_index.hpp>

#include <catch2/catch.hpp>
#include <limits>

#include "io/files.hpp"

namespace feature_index_test {

using namespace flamingo;
using Places = std::vector<std::size_t>;

FeatureIndex small_index() {
  FeatureIndex index("clip", 2);
  index.add("a", std::vector<float>{1, 0});
  index.add("b", std::vector<float>{3, 4});
  index.add("c", std::vector<float>{0, 2});
  index.add("d", std::vector<float>{6, 8});
  return index;
}

TEST_CASE("the most similar item stands last, a query is not its own demonstration", "[eval][rices]") {
  const FeatureIndex index = small_index();
  const std::vector<float> query{2, 0.1f};
  CHECK(index.nearest(query, 3) == Places{3, 1, 0});  // b and d are equally near: b is nearer to the query's place
  CHECK(index.nearest(query, 1) == Places{0});
  CHECK(index.nearest(query, 1, "a") == Places{1});
  CHECK(index.nearest(query, 0).empty());
  CHECK_THROWS_WITH(index.nearest(query, 4, "a"), "[feature_index] cannot find 4 items among 3");
}

TEST_CASE("an index is saved with its ids and its encoder", "[eval][rices]") {
  const tests::TemporaryFolder folder;
  const auto path = folder.path() / "index.safetensors";
  const FeatureIndex index = small_index();
  index.save(path);
  const FeatureIndex loaded = FeatureIndex::load(path, "clip");
  CHECK(loaded.ids() == index.ids());
  CHECK(loaded.encoder() == "clip");
  CHECK(loaded.width() == 2);
  CHECK(loaded.nearest(std::vector<float>{0, 1}, 4) == index.nearest(std::vector<float>{0, 1}, 4));
  CHECK_THROWS_WITH(FeatureIndex::load(path, "nfnet"),
                    Catch::Contains("found features of 'clip', expected those of 'nfnet'"));
  CHECK_THROWS_AS(FeatureIndex::load(folder.write("x.safetensors", "no"), "clip"), Error);
}

TEST_CASE("features of no direction are refused", "[eval][rices]") {
  FeatureIndex index("clip", 2);
  CHECK_THROWS_WITH(index.add("z", std::vector<float>{0, 0}), "[feature_index] z has features of length 0");
  CHECK_THROWS_WITH(index.add("w", std::vector<float>{1}), "[feature_index] w has 1 features, expected 2");
  CHECK_THROWS_AS(index.add("n", std::vector<float>{std::numeric_limits<float>::quiet_NaN(), 1}), Error);
  CHECK(index.ids().empty());
}

}  // namespace feature_index_test
