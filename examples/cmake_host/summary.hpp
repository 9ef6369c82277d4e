/// What the host knows: any number of rows of 48 numbers become four, by a Perceiver Resampler. No header of the
/// library is included, so it costs the host's files nothing to compile.
#pragma once
#include <memory>
#include <span>
#include <vector>

class Summary {
 public:
  static constexpr int width = 48, rows = 4;

  explicit Summary(int threads);
  ~Summary();
  /// (rows, width) of features (n, width).
  std::vector<float> of(std::span<const float> features);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};
