#include <flamingo/data/media/video_file.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "io/files.hpp"

namespace video_file_test {

using namespace flamingo;
using flamingo::tests::read_bytes;

namespace {

const std::filesystem::path clips = std::filesystem::path(FLAMINGO_TEST_DATA) / "fixtures/video";

VideoClip read(const std::string& bytes, const FrameSampling& sampling = {}, double place = 0,
               VideoLimits limits = {}) {
  return read_video(std::as_bytes(std::span(bytes)), "clip", sampling, place, limits);
}
VideoClip read_file(const char* name, const FrameSampling& sampling = {}, double place = 0) {
  return read(read_bytes(clips / name), sampling, place);
}
/// The number that a frame carries as eight squares.
int number(const io::Image& frame) {
  int n = 0;
  for (int bit = 0; bit < 8; ++bit) {
    const auto middle = static_cast<std::size_t>((6 * frame.width + 12 * bit + 6) * 3);
    n |= (frame.rgb[middle + 1] > 127 ? 1 : 0) << bit;
  }
  return n;
}
std::vector<int> numbers(const VideoClip& clip) {
  std::vector<int> all;
  for (const io::Image& frame : clip.frames) all.push_back(number(frame));
  return all;
}

}  // namespace

TEST_CASE("frames are those that are shown at the rate's times, in every container", "[video_file]") {
  for (const char* name : {"walk.mp4", "walk.webm", "walk.gif"}) {
    INFO(name);
    const VideoClip training = read_file(name, training_frames);
    CHECK(training.duration == Approx(6).margin(0.01));
    CHECK(numbers(training) == std::vector<int>{0, 10, 20, 30, 40, 50});  // six seconds give six frames
    CHECK((training.frames[0].width == 96 && training.frames[0].height == 64));
    for (std::size_t i = 0; i < training.seconds.size(); ++i)
      CHECK(training.seconds[i] == Approx(static_cast<double>(i)).margin(0.01));
  }
  // 30 frames at three a second want ten seconds; there are 18 in six. The GIF shows each of its frames for 0.5 s.
  std::vector<int> expected = frames_at_rate(60, 10, 3);
  CHECK((expected.size() == 18 && expected[1] == 3 && expected[2] == 6));
  CHECK(numbers(read_file("walk.mp4", evaluation_frames)) == expected);
  CHECK(numbers(read_file("walk.webm", evaluation_frames)) == expected);
  CHECK(numbers(read_file("walk.gif", {.rate = 4, .frames = 6})) == std::vector<int>{0, 0, 5, 5, 10, 10});
  CHECK(numbers(read_file("walk.mp4", {.rate = 10, .frames = 1000})) == frames_at_rate(60, 10, 10));
}

TEST_CASE("a clip begins where it is asked to, found by seeking", "[video_file]") {
  const FrameSampling two{.rate = 1, .frames = 2};
  for (const char* name : {"walk.mp4", "walk.webm", "walk.gif"}) {
    INFO(name);
    for (const double place : {0.0, 0.3, 0.5, 0.9, 1.0})
      CHECK(numbers(read_file(name, two, place)) == clip_of(two, 60, 10, place));
  }
  // What is decoded after a leap is what is decoded from the beginning.
  const VideoClip leap = read_file("walk.mp4", two, 1), whole = read_file("walk.mp4", {.rate = 10, .frames = 60});
  CHECK((leap.frames[0] == whole.frames[40] && leap.frames[1] == whole.frames[50]));
}

TEST_CASE("a telephone's video is turned upright", "[video_file]") {
  const VideoClip turned = read_file("turned.mp4"), walk = read_file("walk.mp4");
  REQUIRE((turned.frames[0].width == 64 && turned.frames[0].height == 96));
  // As `ffmpeg -autorotate` shows it: turned to the left, so that the squares of the upper edge stand along the left
  // one.
  CHECK(turned.frames[0] == io::Image{64, 96, io::upright(io::raw_of(walk.frames[0]), 8).samples});
}

TEST_CASE("what is no video, and what is damaged, ends in an error or in what is left", "[video_file]") {
  const std::string mp4 = read_bytes(clips / "walk.mp4"), webm = read_bytes(clips / "walk.webm");
  CHECK_THROWS_WITH(read(""), Catch::StartsWith("[video] clip: it is no video of a known container"));
  CHECK_THROWS_WITH(read(std::string(5000, 'x')), Catch::StartsWith("[video] clip: it is no video"));
  CHECK_THROWS_WITH(read("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n"),
                    Catch::Contains("it is no video"));
  CHECK_THROWS_WITH(read("ffconcat version 1.0\nfile /etc/passwd\n"), Catch::Contains("it is no video"));
  CHECK(read(webm.substr(0, webm.size() / 2)).frames.size() == 6);  // its header promises six seconds
  int refused = 0, shown = 0;
  for (const std::string& file : {mp4, webm, read_bytes(clips / "walk.gif")})
    for (std::size_t cut = 0; cut < file.size(); cut += 531) {
      try {
        shown += static_cast<int>(read(file.substr(0, cut)).frames.size());
      } catch (const Error& error) {
        refused += std::string_view(error.what()).starts_with("[video] clip: ");
      }
    }
  CHECK((refused > 10 && shown > 100));
}

TEST_CASE("what a video may cost is bounded", "[video_file]") {
  const std::string mp4 = read_bytes(clips / "walk.mp4");
  CHECK_THROWS_WITH(read(mp4, {}, 0, {.bytes = 100}), Catch::Contains("at most 100 are read"));
  CHECK_THROWS_WITH(read(mp4, {}, 0, {.pixels = 6143}), Catch::Contains("96 x 64, at most 6143 pixels"));
  CHECK_THROWS_WITH(read(mp4, {}, 0, {.decoded = 40}), Catch::Contains("takes more frames than allowed"));
  CHECK_THROWS_WITH(read(mp4, {}, 0, {.total = 100'000}), Catch::Contains("takes more frames than allowed"));
  CHECK_THROWS_WITH(read(mp4, {}, 0, {.packets = 9}), Catch::Contains("more packets than allowed"));
  CHECK_THROWS_WITH(read(mp4, {.rate = 0}), Catch::Contains("expected more than 0"));
}

}  // namespace video_file_test
