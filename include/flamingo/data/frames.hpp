/// Which frames of a video a model sees (Alayrac et al. 2022: 8 frames at 1 a second in training, 30 frames at 3 a
/// second in evaluation).
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// At most `frames` frames, `rate` of them a second. The paper's main text says 1 a second, its evaluation 3: both
/// hold, each for its own.
struct FrameSampling {
  double rate = 1;
  int frames = 8;
};
inline constexpr FrameSampling training_frames{1, 8}, evaluation_frames{3, 30};

/// The frames of a video of `frames` frames, shown `shown` a second, that are seen `seen` a second: frame
/// ⌊i shown / seen⌋ for i = 0, 1, ..., at least the first.
inline std::vector<int> frames_at_rate(int frames, double shown, double seen) {
  check(frames > 0 && shown > 0 && seen > 0, "frames", "a video of ", frames, " frames, ", shown,
        " a second, cannot be seen ", seen, " a second");
  const int count = std::max(1, static_cast<int>(frames / shown * seen));
  std::vector<int> chosen;
  for (int i = 0; i < count; ++i) chosen.push_back(std::min(static_cast<int>(i * shown / seen), frames - 1));
  return chosen;
}

/// A clip: adjacent ones among the frames at the sampling's rate. `place` says where in a longer video it lies, from 0,
/// the beginning, to 1, the end. The paper does not: training may draw it, the middle is the default. A shorter video
/// gives fewer frames, which need no padding.
inline std::vector<int> clip_of(const FrameSampling& sampling, int frames, double shown, double place = 0.5) {
  check(sampling.frames > 0 && place >= 0 && place <= 1, "frames", "a clip of ", sampling.frames, " frames at place ",
        place, ", expected at least one and a place between 0 and 1");
  const std::vector<int> all = frames_at_rate(frames, shown, sampling.rate);
  const int count = static_cast<int>(all.size()), spare = std::max(0, count - sampling.frames);
  const auto first = all.begin() + std::min(static_cast<int>(place * (spare + 1)), spare);
  return {first, first + std::min(count, sampling.frames)};
}

/// How a number of frames is spread over a whole video of any length.
enum class Spread : std::uint8_t {
  floor,    ///< ⌊i (n - 1) / (k - 1)⌋: both ends are there
  round,    ///< the same rounded, halves to even
  centres,  ///< ⌊(i + ½) n / k⌋: the middles of k equal shares
};
/// `count` frames of a video of `frames`; where it has fewer, some come several times.
inline std::vector<int> spread_frames(int frames, int count, Spread spread) {
  check(frames > 0 && count > 0, "frames", count, " frames cannot be chosen of ", frames);
  std::vector<int> chosen;
  for (int i = 0; i < count; ++i) {
    // As numpy's linspace, whose last number is exact.
    const double step = count > 1 ? static_cast<double>(frames - 1) / (count - 1) : 0;
    const double at = i > 0 && i == count - 1 ? frames - 1 : i * step;
    chosen.push_back(spread == Spread::centres ? static_cast<int>((i + 0.5) * frames / count)
                     : spread == Spread::round ? static_cast<int>(std::nearbyint(at))
                                               : static_cast<int>(at));
  }
  return chosen;
}

}  // namespace flamingo
