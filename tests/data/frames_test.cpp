#include <flamingo/data/frames.hpp>

#include <catch2/catch.hpp>

#include "check/frames.hpp"
#include "support/golden.hpp"

namespace frames_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("frames are chosen as numpy's formulas choose them", "[frames][golden]") {
  const FramesReport report = check_frames(golden_path("video_sampling.json"));
  INFO(report.first);
  CHECK(report.lists == 76);
  CHECK(report.wrong == 0);
}

TEST_CASE("training sees 8 frames at one a second, evaluation 30 at three", "[frames]") {
  // Twenty seconds at 30 frames a second.
  CHECK(clip_of(training_frames, 600, 30, 0) == std::vector<int>{0, 30, 60, 90, 120, 150, 180, 210});
  CHECK(clip_of(training_frames, 600, 30, 1) == std::vector<int>{360, 390, 420, 450, 480, 510, 540, 570});
  CHECK(clip_of(training_frames, 600, 30).front() == 180);
  const std::vector<int> seen = clip_of(evaluation_frames, 600, 30);
  CHECK((seen.size() == 30 && seen.front() == 150 && seen.back() == 440));
}

TEST_CASE("a short video gives what it has", "[frames]") {
  CHECK(clip_of(training_frames, 75, 25) == std::vector<int>{0, 25, 50});
  CHECK(clip_of(training_frames, 7, 25, 1) == std::vector<int>{0});
  CHECK(clip_of({50, 4}, 2, 25) == std::vector<int>{0, 0, 1, 1});  // seen faster than it was shown
}

TEST_CASE("what cannot be sampled is refused", "[frames]") {
  CHECK_THROWS_WITH(frames_at_rate(0, 25, 1), "[frames] a video of 0 frames, 25 a second, cannot be seen 1 a second");
  CHECK_THROWS_WITH(clip_of({1, 0}, 5, 25),
                    "[frames] a clip of 0 frames at place 0.5, expected at least one and a place between 0 and 1");
  CHECK_THROWS_WITH(spread_frames(5, 0, Spread::round), "[frames] 0 frames cannot be chosen of 5");
}

}  // namespace frames_test
