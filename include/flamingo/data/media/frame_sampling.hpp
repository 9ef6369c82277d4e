/// Which frames of a video are taken.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// How `samples` frames are spread evenly over a video of n: at linspace(0, n - 1), rounded down or to the nearest
/// (halves to even), or in the middle of `samples` segments of equal length.
enum class Spread { floor, round, centre };

/// `samples` frame numbers of a video of `frames`; frames repeat where there are fewer.
inline std::vector<int> spread_frames(int frames, int samples, Spread spread) {
  check(frames > 0 && samples > 0, "frame_sampling", "got ", samples, " of ", frames, " frames, expected some of some");
  std::vector<int> chosen;
  const double step = samples > 1 ? static_cast<double>(frames - 1) / (samples - 1) : 0.0;
  for (int i = 0; i < samples; ++i) {
    // As numpy's linspace: the last value is set, the others are products.
    const double even = i + 1 == samples && samples > 1 ? frames - 1 : i * step;
    chosen.push_back(spread == Spread::floor   ? static_cast<int>(even)
                     : spread == Spread::round ? static_cast<int>(std::nearbyint(even))
                                               : static_cast<int>((i + 0.5) * frames / samples));
  }
  return chosen;
}

/// A video of `frames` frames at `source` a second, at `target` a second: frame i is the one that is shown at i /
/// target seconds. At least one, at most `most`.
inline std::vector<int> frames_at_rate(int frames, double source, double target, int most) {
  check(frames > 0 && source > 0 && target > 0 && most > 0, "frame_sampling", "got ", frames, " frames at ", source,
        " a second, asked for ", most, " at ", target, ", expected more than 0 of each");
  const double whole = frames / source * target;
  const int count = whole < 1 ? 1 : whole > most ? most : static_cast<int>(whole);
  std::vector<int> chosen;
  for (int i = 0; i < count; ++i) {
    const double at = i * (source / target);
    chosen.push_back(at < frames ? static_cast<int>(at) : frames - 1);
  }
  return chosen;
}

/// What of a video becomes one medium of a document.
struct ClipOptions {
  double rate = 1;       ///< frames a second
  int frames = 8;        ///< most frames; a shorter video has fewer
  bool anywhere = true;  ///< a clip that is shorter than the video begins at random; else with the video

  /// The paper: 8 frames at one a second, and in evaluation 30 at three a second.
  static constexpr ClipOptions training() { return {}; }
  static constexpr ClipOptions evaluation() { return {.rate = 3, .frames = 30, .anywhere = false}; }

  /// How many frames a video of so many seconds gives.
  int count(double seconds) const {
    const double whole = seconds * rate + 1e-6;  // a length of 7.999999 s is 8 s whose time base rounded
    return whole < 1 ? 1 : whole > frames ? frames : static_cast<int>(whole);
  }
};

}  // namespace flamingo
