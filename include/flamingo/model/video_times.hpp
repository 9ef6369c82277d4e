/// Which learned time embedding each frame of a video gets (Alayrac et al. 2022, App. B.1.2: the table of 8 frames seen
/// in training is read linearly between its rows where evaluation shows 30).
#pragma once
#include <algorithm>

#include <flamingo/config/resampler.hpp>
#include <flamingo/ops/arrange.hpp>

namespace flamingo {

/// Place `place` of `places` that are spread evenly over a table of `known` rows.
constexpr Blend between_rows(int place, int places, int known, TimeEnds ends) {
  float at = 0;
  if (ends == TimeEnds::halves)
    at = std::max(0.0f,
                  (static_cast<float>(place) + 0.5f) * static_cast<float>(known) / static_cast<float>(places) - 0.5f);
  else if (places > 1)
    at = static_cast<float>(place) * static_cast<float>(known - 1) / static_cast<float>(places - 1);
  const int low = std::min(static_cast<int>(at), known - 1);
  return {low, low + 1 < known ? low + 1 : low, at - static_cast<float>(low)};
}

/// Frame `frame` of `frames` over a table of `known` rows: the rows themselves while they last (a picture's is row 0),
/// else between them.
constexpr Blend time_of(int frame, int frames, int known, TimeEnds ends = TimeEnds::meet) {
  if (frames <= known) return {frame, frame, 0};
  return between_rows(frame, frames, known, ends);
}

}  // namespace flamingo
