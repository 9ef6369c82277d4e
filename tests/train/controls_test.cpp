#include <flamingo/train/controls.hpp>

#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "train/trainer_case.hpp"

namespace controls_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {
using ControlsCase = TrainerCase<Cpu<float>>;
using Batch = TrainingBatch<float>;
}  // namespace

TEST_CASE("media change places among those of one shape, features and pixels alike", "[controls]") {
  Batch b;  // 2, 1, 2, 1, 3 rows of two features
  int row = 0;
  for (const int rows : {2, 1, 2, 1, 3}) {
    b.media.push_back({row, rows, 1, 0});
    row += rows;
  }
  for (int i = 0; i < 2 * row; ++i) b.features.push_back(static_cast<float>(i));
  const Batch moved = with_shuffled_media(b);
  CHECK(moved.features == std::vector<float>{6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17});
  CHECK(std::multiset<float>(moved.features.begin(), moved.features.end()) ==
        std::multiset<float>(b.features.begin(), b.features.end()));

  Batch p;  // a picture, a clip of two frames, and another picture
  p.media = {{0, 4, 1, 0}, {4, 8, 2, 0}, {12, 4, 1, 1}};
  p.pictures = {{0, 1, 2}, {2, 1, 2}, {4, 1, 2}, {6, 1, 2}};
  for (int i = 0; i < 24; ++i) p.pixels.push_back(static_cast<float>(i));
  const Batch swapped = with_shuffled_media(p);
  for (int i = 0; i < 24; ++i)
    CHECK(swapped.pixels[static_cast<std::size_t>(i)] == static_cast<float>(i < 6 ? i + 18 : i < 18 ? i : i - 18));

  const std::vector<float> grey{7, 8, 9};
  const Batch blank = with_blank_media(p, std::span<const float>(grey));
  CHECK((blank.pixels.size() == 24 && blank.pixels[0] == 7 && blank.pixels[22] == 8 && blank.features.empty()));
  CHECK_THROWS_WITH(with_blank_media(b, std::span<const float>(grey.data(), 0)),
                    "[controls] the batch's media have 18 numbers, expected a multiple of the blank picture's 0");
  const std::vector<float> rows(8, 0);
  CHECK_THROWS_WITH(with_blank_media(b, std::span<const float>(rows)),
                    Catch::Contains("a multiple of the blank picture's 8"));
}

TEST_CASE("a model that looks at pictures loses by other pictures, one that does not loses nothing", "[controls]") {
  ControlsCase c;
  const Batch held_out = ControlsCase::batch(5000, 30);
  const std::vector<float> blank(15, 0.5f);
  const auto losses = [&] { return control_losses(c.trainer, held_out, std::span<const float>(blank)); };
  const ControlLosses before = losses();  // gates are closed
  CHECK((before.real == before.blank && before.real == before.shuffled));
  for (int i = 0; i < 200; ++i) c.trainer.update({ControlsCase::dataset("a", 1, 7)});
  const ControlLosses after = losses();
  CHECK(after.real < 0.5 * before.real);
  CHECK((after.blank > 2 * after.real && after.shuffled > 2 * after.real));
}

}  // namespace controls_test
