// Videos from strangers, decoded by FFmpeg within tight bounds: an Error, or frames of one size.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <flamingo/core/check.hpp>
#include <flamingo/data/media/video_file.hpp>

using namespace flamingo;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const double place = size % 2 == 0 ? 0 : 0.7;
  try {
    const VideoClip clip = read_video(std::as_bytes(std::span(data, size)), "fuzz", {.rate = 4, .frames = 6}, place,
                                      {.pixels = 40'000, .decoded = 50, .total = 500'000, .packets = 2000});
    if (clip.frames.empty() || clip.frames.size() > 6 || clip.frames.size() != clip.seconds.size()) std::abort();
    for (const io::Image& frame : clip.frames)
      if (frame.width != clip.frames[0].width || frame.height != clip.frames[0].height ||
          frame.rgb.size() != static_cast<std::size_t>(frame.width) * static_cast<std::size_t>(frame.height) * 3)
        std::abort();
  } catch (const Error&) {
  }
  return 0;
}
