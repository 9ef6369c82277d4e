/// Sizes and choices of the Perceiver Resampler, and of what the paper's ablation puts in its place.
#pragma once
#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// Where the frames of a video longer than the time table lie between its rows. The paper says "linear interpolation"
/// and no more.
enum class TimeEnds {
  meet,    ///< the first frame on the first row, the last on the last (PyTorch's align_corners): every frame counts
  halves,  ///< frames and rows are the middles of equal shares; what lies beyond the outer rows is they
};
/// What makes R rows of a medium's features, whatever the number of frames and cells. The paper compares the three
/// "given a parameter budget" and tells neither the sizes of the others nor how they come to a number of rows (inferred
/// below).
enum class ResamplerKind {
  /// The paper: R learned latents ask the features and themselves.
  perceiver,
  /// A plain Transformer over the features and R learned latents, all of which ask all; the latents' rows leave. Of
  /// equal sizes it has the Perceiver's parameters, and it is slower, as in the paper: the features ask too.
  transformer,
  /// Residual feed-forwards on each row by itself, and R means of neighbouring rows. It needs 10 layers for the
  /// parameters of the Perceiver's 6: without attention a layer has 8 D² of 40/3 D².
  mlp,
};

struct ResamplerConfig {
  ResamplerKind kind = ResamplerKind::perceiver;
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
  int media = 0;  ///< rows of a table added by a medium's place in its document (lucidrains' models; the paper's image
                  ///< index embeddings beside all earlier images); 0: none
  bool final_norm = true;
  int out_dim = 0;  ///< width of the rows that leave; 0: dim. Where it differs, a linear map without bias leads out
  float epsilon = 1e-5f;

  constexpr int features() const { return vision_dim ? vision_dim : dim; }
  constexpr int out() const { return out_dim ? out_dim : dim; }
};

}  // namespace flamingo
