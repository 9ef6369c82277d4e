#include <flamingo/model/video_times.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include "check/agree.hpp"
#include "check/video.hpp"
#include "support/platforms.hpp"

namespace video_times_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("tables are read between their rows as PyTorch interpolates", "[video_times][golden]",
                        Platforms) {
  check_agreement(check_video<TestType>(golden_path("video_embeddings.safetensors")));
}

TEST_CASE("times are table rows while they last, then lie between them, ends on ends", "[video_times]") {
  for (int t = 0; t < 8; ++t)
    for (const TimeEnds ends : {TimeEnds::meet, TimeEnds::halves}) {
      const Blend b = time_of(t, 8, 8, ends);
      CHECK((b.low == t && b.weight == 0));
    }
  CHECK((time_of(0, 30, 8).low == 0 && time_of(0, 30, 8).weight == 0));
  CHECK(time_of(29, 30, 8).low == 7);
  CHECK(time_of(29, 30, 8).weight == 0);
  for (int t = 0; t < 30; ++t) {
    const Blend b = time_of(t, 30, 8);
    CHECK((b.low >= 0 && b.high <= 7 && b.high - b.low <= 1));
    CHECK(std::abs(static_cast<double>(b.low) + static_cast<double>(b.weight) - t * 7.0 / 29) < 1e-6);
  }
}

TEST_CASE("by halves the outer frames stay on the outer rows", "[video_times]") {
  const auto at = [](int t) {
    const Blend b = time_of(t, 30, 8, TimeEnds::halves);
    return static_cast<double>(b.low) + static_cast<double>(b.weight) * (b.high - b.low);
  };
  CHECK((at(0) == 0 && at(1) == 0 && at(29) == 7));
  for (int t = 2; t < 28; ++t) CHECK(std::abs(at(t) - ((t + 0.5) * 8 / 30 - 0.5)) < 1e-6);
}

}  // namespace video_times_test
