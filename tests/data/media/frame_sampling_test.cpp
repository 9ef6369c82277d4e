#include <flamingo/data/media/frame_sampling.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <vector>

#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

using namespace flamingo;

namespace {

std::vector<int> numbers(const io::Json& list) {
  std::vector<int> result;
  for (const io::Json& n : list.as_array()) result.push_back(static_cast<int>(n.as_integer()));
  return result;
}

}  // namespace

TEST_CASE("frames are chosen as numpy's formulae choose them", "[frame_sampling]") {
  const io::MappedFile file(std::filesystem::path(FLAMINGO_TEST_DATA) / "goldens/video_sampling.json");
  const io::Json golden = io::Json::parse(file.text());
  const io::Json &uniform = golden.at("uniform"), &rates = golden.at("fps");
  for (const io::Json& entry : uniform.as_array()) {
    const int frames = static_cast<int>(entry.at("frames").as_integer());
    const int samples = static_cast<int>(entry.at("samples").as_integer());
    INFO(samples << " of " << frames);
    CHECK(spread_frames(frames, samples, Spread::floor) == numbers(entry.at("linspace_floor")));
    CHECK(spread_frames(frames, samples, Spread::round) == numbers(entry.at("linspace_round")));
    CHECK(spread_frames(frames, samples, Spread::centre) == numbers(entry.at("segment_centre")));
  }
  for (const io::Json& entry : rates.as_array())
    CHECK(frames_at_rate(static_cast<int>(entry.at("frames").as_integer()), entry.at("source_fps").as_double(),
                         entry.at("target_fps").as_double(), 1 << 20) == numbers(entry.at("indices")));
}

TEST_CASE("one frame is a video's first, and a rate gives at most what is asked for", "[frame_sampling]") {
  CHECK(spread_frames(9, 1, Spread::floor) == std::vector<int>{0});
  CHECK(spread_frames(9, 1, Spread::centre) == std::vector<int>{4});
  CHECK(frames_at_rate(300, 30, 1, 8) == std::vector<int>{0, 30, 60, 90, 120, 150, 180, 210});
  CHECK(frames_at_rate(3, 30, 1, 8) == std::vector<int>{0});
  CHECK(frames_at_rate(2, 1, 3, 30) == std::vector<int>{0, 0, 0, 1, 1, 1});
  CHECK_THROWS_WITH(frames_at_rate(0, 30, 1, 8), Catch::Contains("expected more than 0 of each"));
  CHECK_THROWS_AS(spread_frames(3, 0, Spread::round), Error);
}

TEST_CASE("the paper's clips are 8 frames at 1 a second, and 30 at 3", "[frame_sampling]") {
  constexpr ClipOptions training = ClipOptions::training(), evaluation = ClipOptions::evaluation();
  CHECK((training.count(22) == 8 && training.count(8) == 8 && training.count(7.9999999) == 8 &&
         training.count(7.9) == 7));
  CHECK((training.count(0.1) == 1 && training.count(0) == 1 && training.anywhere));
  CHECK(
      (evaluation.count(10) == 30 && evaluation.count(22) == 30 && evaluation.count(5) == 15 && !evaluation.anywhere));
}
