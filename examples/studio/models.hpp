/// The models that this program can open.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "writer.hpp"

namespace studio {

struct DeskOptions {
  int threads = 0;                                 ///< of each context; 0: one a core
  int running = 4;                                 ///< requests that are written at a time
  int text_rows = 16384;                           ///< tokens whose keys and values are kept, at least a whole context
  int media = 256;                                 ///< pictures that are kept
  std::int64_t max_pixels = 25'000'000;            ///< of a picture
  std::size_t attention = std::size_t{256} << 20;  ///< bytes of where an answer looked; one answer's are kept
};

/// Where the weights lie.
struct Weights {
  std::filesystem::path folder, connector;
};

/// The model that the program was built for: EfficientNet-Lite0, our connector and SmolLM2-135M (shipped.cpp), or a
/// published checkpoint (checkpoint.cpp).
std::unique_ptr<Writer> open_model(const Weights& weights, const DeskOptions& options);
/// Random numbers in a model of a few thousand, which writes nonsense at once: for tests, and to see the page without
/// any download.
std::unique_ptr<Writer> open_tiny(const DeskOptions& options);

}  // namespace studio
