#include <flamingo/train/batch_file.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "io/files.hpp"

namespace batch_file_test {

using namespace flamingo;
using flamingo::tests::error_of;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

TrainingBatch<float> documents() {
  TrainingBatch<float> b;
  b.features = {1, std::numeric_limits<float>::quiet_NaN(), -0.0f, std::numeric_limits<float>::infinity(), 1e-42f, 3};
  b.media = {{0, 2, 1, 0, 7}, {2, 4, 2, 1}};
  b.sequences = {{.ids = {1, 2}, .phi = {1, 1}, .targets = {2, -1}, .first_medium = 0, .media = 1},
                 {.ids = {3}, .phi = {0}, .targets = {}, .first_medium = 1, .media = 0},
                 {.ids = {5, 6, 7}, .phi = {0, 1, 1}, .targets = {6, 7, -1}, .first_medium = 1, .media = 1}};
  return b;
}

}  // namespace

TEST_CASE("a refused batch is read again as it was, its NaN too", "[batch_file]") {
  const TemporaryFolder folder;
  keep_refused<float>(folder.path())(documents(), "a/b", 17);
  const auto path = folder.path() / "refused-17-a_b.safetensors";
  const TrainingBatch<float> expected = documents(), got = load_batch<float>(path);
  REQUIRE(got.features.size() == expected.features.size());
  CHECK(std::memcmp(got.features.data(), expected.features.data(), 6 * sizeof(float)) == 0);
  REQUIRE(got.media.size() == 2);
  CHECK((got.media[0].visible == 7 && got.media[1].first == 2 && got.media[1].rows == 4 && got.media[1].frames == 2 &&
         got.media[1].place == 1));
  REQUIRE(got.sequences.size() == 3);
  for (std::size_t s = 0; s < 3; ++s) {
    const Sequence &one = got.sequences[s], &other = expected.sequences[s];
    CHECK((one.ids == other.ids && one.phi == other.phi && one.targets == other.targets && one.media == other.media &&
           one.first_medium == other.first_medium));
  }
  CHECK((got.pixels.empty() && got.pictures.empty()));
  const io::Safetensors file(path);
  CHECK(file.metadata() == io::Metadata{{"dataset", "a/b"}, {"step", "17"}});

  TrainingBatch<double> pixels;
  pixels.pictures = {{0, 1, 2}, {2, 1, 1}};
  pixels.pixels.assign(9, 1.0 / 3);
  save_batch(path, pixels);
  const TrainingBatch<double> again = load_batch<double>(path);
  CHECK(again.pixels == pixels.pixels);
  CHECK((again.pictures.size() == 2 && again.pictures[1].first == 2 && again.pictures[0].width == 2));
}

TEST_CASE("a file that is no batch is refused", "[batch_file]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "batch.safetensors";
  save_batch(path, documents());
  CHECK_THAT(error_of([&] { load_batch<double>(path); }),
             Catch::Contains(path.string() + ": 'features' is f32 (6), expected f64 in rows of 1"));
  const std::string whole = read_bytes(path);
  CHECK_THAT(error_of([&] { load_batch<float>(folder.write("cut.safetensors", whole.substr(0, whole.size() - 1))); }),
             Catch::StartsWith("[safetensors] "));
  TrainingBatch<float> short_of_phi = documents();
  short_of_phi.sequences[0].phi.pop_back();
  save_batch(path, short_of_phi);
  CHECK_THAT(error_of([&] { load_batch<float>(path); }), Catch::Contains(": sequence 2 has 3 φ from 3 on, of 5"));
  io::write_safetensors(path, std::vector<io::TensorView>{});
  CHECK_THAT(error_of([&] { load_batch<float>(path); }), Catch::EndsWith(": missing 'features'"));
}

}  // namespace batch_file_test
