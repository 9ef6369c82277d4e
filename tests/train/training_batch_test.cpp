#include <flamingo/train/training_batch.hpp>

#include <catch2/catch.hpp>
#include <vector>

namespace training_batch_test {

using namespace flamingo;

namespace {

/// Documents of 1, 0 and 2 media; the last medium is a video of two frames. Two numbers a feature row.
TrainingBatch<float> documents() {
  TrainingBatch<float> b;
  b.media = {{0, 3, 1, 0}, {3, 2, 1, 0}, {5, 4, 2, 1}};
  for (int i = 0; i < 18; ++i) b.features.push_back(static_cast<float>(i));
  b.sequences = {{.ids = {1, 2}, .phi = {1, 1}, .targets = {2, -1}, .first_medium = 0, .media = 1},
                 {.ids = {3}, .phi = {0}, .targets = {4}, .first_medium = 1, .media = 0},
                 {.ids = {5, 6, 7}, .phi = {1, 1, 2}, .targets = {6, 7, -1}, .first_medium = 1, .media = 2}};
  return b;
}

bool same(const TrainingBatch<float>& a, const TrainingBatch<float>& b) {
  const auto media = [](const Medium& x, const Medium& y) {
    return x.first == y.first && x.rows == y.rows && x.frames == y.frames && x.place == y.place;
  };
  const auto sequences = [](const Sequence& x, const Sequence& y) {
    return x.ids == y.ids && x.phi == y.phi && x.targets == y.targets && x.media == y.media &&
           (x.media == 0 || x.first_medium == y.first_medium);
  };
  const auto grids = [](const Grid& x, const Grid& y) {
    return x.first == y.first && x.height == y.height && x.width == y.width;
  };
  return a.features == b.features && a.pixels == b.pixels &&
         std::equal(a.media.begin(), a.media.end(), b.media.begin(), b.media.end(), media) &&
         std::equal(a.sequences.begin(), a.sequences.end(), b.sequences.begin(), b.sequences.end(), sequences) &&
         std::equal(a.pictures.begin(), a.pictures.end(), b.pictures.begin(), b.pictures.end(), grids);
}

}  // namespace

TEST_CASE("parts of a batch, put after one another, are the batch", "[training_batch]") {
  TrainingBatch<float> features = documents(), pixels = features;
  pixels.features.clear();
  for (const Grid g : {Grid{0, 2, 2}, Grid{4, 1, 3}, Grid{7, 2, 1}, Grid{9, 2, 2}}) pixels.pictures.push_back(g);
  for (int i = 0; i < 3 * 13; ++i) pixels.pixels.push_back(static_cast<float>(i));
  for (const TrainingBatch<float>& whole : {features, pixels})
    for (const std::size_t cut : {0u, 1u, 2u, 3u}) {
      INFO("cut before " << cut);
      TrainingBatch<float> joined = part_of(whole, 0, cut);
      const TrainingBatch<float> rest = part_of(whole, cut, 3 - cut);
      CHECK(asked_of(joined) + asked_of(rest) == asked_of(whole));
      joined.append(rest);
      CHECK(same(joined, whole));
    }
  const TrainingBatch<float> last = part_of(features, 2, 1);
  CHECK((last.media[0].first == 0 && last.media[1].first == 2 && last.sequences[0].first_medium == 0));
  CHECK(last.features == std::vector<float>(features.features.begin() + 6, features.features.end()));
  CHECK(asked_of(features) == 4);
}

TEST_CASE("the shares of several processes, one after another, are the batch", "[training_batch]") {
  const TrainingBatch<float> whole = documents();
  for (const int processes : {1, 2, 3, 5}) {
    TrainingBatch<float> joined;
    for (int rank = 0; rank < processes; ++rank) joined.append(share_of(whole, rank, processes));
    CHECK(same(joined, whole));
  }
  CHECK(share_of(whole, 0, 5).sequences.empty());
  CHECK_THROWS_WITH(share_of(whole, 2, 2), "[batch] process 2 of 2");
}

TEST_CASE("a batch whose media are out of order has no parts", "[training_batch]") {
  TrainingBatch<float> b = documents();
  b.sequences[2].first_medium = 0;
  CHECK_THROWS_WITH(part_of(b, 1, 2),
                    "[batch] a sequence has the media from 0 on, expected 1: each sequence's lie after those of the "
                    "sequences before it");
  CHECK_THROWS_WITH(part_of(b, 2, 2), Catch::Contains("[batch] numbers 2 to 4 are asked for, of 3"));
}

}  // namespace training_batch_test
