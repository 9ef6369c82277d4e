/// Sizes and choices of the Perceiver Resampler.
#pragma once
#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// Where the frames of a video longer than the time table lie between its rows. The paper says "linear interpolation"
/// and no more.
enum class TimeEnds {
  meet,    ///< the first frame on the first row, the last on the last (PyTorch's align_corners): every frame counts
  halves,  ///< frames and rows are the middles of equal shares; what lies beyond the outer rows is they
};

struct ResamplerConfig {
  int vision_dim =
      0;  ///< width of the encoder's features; 0: dim. Where it differs, a linear map without bias leads in
  bool norm_input =
      false;         ///< LayerNorm on the encoder's features before anything else (a convolutional encoder has none)
  int dim = 1536;    ///< D
  int latents = 64;  ///< R, rows that leave the Resampler for each image or video
  int layers =
      6;  ///< 0: no Resampler; the gated blocks read the encoder's rows themselves, `latents` of them a picture
  bool project = false;  ///< without layers: a linear map with bias from vision_dim to dim (Llama 3.2's projector)
  int heads = 16;        ///< H
  int head_dim = 96;     ///< K; H K need not be D. The paper's text says D / H, its parameter count 128
  QkNorm qk_norm = QkNorm::none;
  int widening = 4;  ///< hidden width of the feed-forward over D
  Activation activation = Activation::squared_relu;
  int frames = 8;  ///< rows of the learned time table; 0: none. Longer videos read between its rows
  TimeEnds time_ends = TimeEnds::meet;
  int media = 0;   ///< rows of a table added by a medium's place in its document (lucidrains' models); 0: none
  bool final_norm = true;
  int out_dim = 0;  ///< width of the rows that leave; 0: dim. Where it differs, a linear map without bias leads out
  float epsilon = 1e-5f;

  constexpr int features() const { return vision_dim ? vision_dim : dim; }
  constexpr int out() const { return out_dim ? out_dim : dim; }
};

}  // namespace flamingo
