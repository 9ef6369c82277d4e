/// Whether pictures are looked at: a loss falls even when they are ignored, so held-out documents are scored again with
/// blank pictures and with one another's.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/train/trainer.hpp>

namespace flamingo {

/// The batch with blank pictures. `blank` is what an encoder makes of one (rows of features, repeated for each frame),
/// or, for a batch of pixels, the three numbers of a pixel.
template <class R>
TrainingBatch<R> with_blank_media(TrainingBatch<R> batch, std::span<const R> blank) {
  std::vector<R>& numbers = batch.pixels.empty() ? batch.features : batch.pixels;
  check(!blank.empty() && numbers.size() % blank.size() == 0, "controls", "the batch's media have ", numbers.size(),
        " numbers, expected a multiple of the blank picture's ", blank.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = blank[i % blank.size()];
  return batch;
}

/// The batch with what each medium shows in another's place: of those of one shape, half of them further on, so that it
/// comes from another document where each has as many. A medium whose shape no other has stays.
template <class R>
TrainingBatch<R> with_shuffled_media(TrainingBatch<R> batch) {
  const bool as_pixels = !batch.pixels.empty();
  std::vector<R>& numbers = as_pixels ? batch.pixels : batch.features;
  std::size_t rows = 0, picture = 0;
  for (const Medium& m : batch.media) rows += static_cast<std::size_t>(m.rows);
  std::map<std::array<int, 4>, std::vector<std::size_t>> alike;  // where each medium of a shape begins, in numbers
  std::map<std::array<int, 4>, std::size_t> sizes;
  for (const Medium& m : batch.media) {
    const Grid grid = as_pixels ? batch.pictures.at(picture) : Grid{m.first, m.rows, 1};
    const std::size_t width = as_pixels ? 3 : numbers.size() / rows;
    const std::array<int, 4> shape{grid.height, grid.width, m.frames, m.visible};
    alike[shape].push_back(static_cast<std::size_t>(grid.first) * width);
    sizes[shape] = static_cast<std::size_t>(grid.rows() * (as_pixels ? m.frames : 1)) * width;
    picture += static_cast<std::size_t>(m.frames);
  }
  const std::vector<R> own = numbers;
  for (const auto& [shape, begins] : alike)
    for (std::size_t i = 0; i < begins.size(); ++i) {
      const std::size_t other = begins[(i + std::max<std::size_t>(1, begins.size() / 2)) % begins.size()];
      std::copy_n(own.data() + other, sizes[shape], numbers.data() + begins[i]);
    }
  return batch;
}

/// Mean nats a token.
struct ControlLosses {
  double real = 0, blank = 0, shuffled = 0;
};

/// The losses of held-out documents under each sight; nothing is learned of them.
template <class Trainer, class R>
ControlLosses control_losses(Trainer& trainer, const TrainingBatch<R>& held_out, std::span<const R> blank) {
  return {trainer.pass(held_out, 0).loss, trainer.pass(with_blank_media(held_out, blank), 0).loss,
          trainer.pass(with_shuffled_media(held_out), 0).loss};
}

}  // namespace flamingo
