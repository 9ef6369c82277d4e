#include <cstdio>
#include <vector>

#include "summary.hpp"

int main() {
  Summary summary(/*threads=*/2);
  std::vector<float> features(100 * Summary::width);
  for (std::size_t i = 0; i < features.size(); ++i) features[i] = static_cast<float>(i % 7) - 3.0f;
  const std::vector<float> rows = summary.of(features);
  std::printf("%zu numbers summarised in %zu\n", features.size(), rows.size());
}
