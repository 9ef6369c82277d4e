/// All choices of the training of the connector in one place.
#pragma once
#include <cstdint>

namespace mixture {

/// A dataset's share of an update: its weight λ, and how many documents.
struct Share {
  double weight = 1;
  int documents = 1;

  bool asked() const { return documents > 0 && weight > 0; }
};

/// The paper's weights of its datasets (M3W 1, ALIGN 0.2, LTIP 0.2, VTP 0.03), each with its counterpart here.
struct Recipe {
  Share pages{1, 1};      ///< real pages: windows of manuals
  Share episodes{1, 16};  ///< in-context sequences, which are index pages of folders: of the pages' kind
  Share noisy{0.2, 8};    ///< titles and keywords, as ALIGN's alt texts
  Share clean{0.2, 3};    ///< captions that somebody wrote, as LTIP's
  Share animations{0.03, 2};

  int page_tokens = 96, page_media = 5;  ///< the paper: 256 and 5
  int episode_media = 5;                 ///< the paper's N

  // Episodes: what the pictures of a class have in common, and how the class is called. The shares of one and the same
  // picture, and of pictures of one thing, go from what is easy to bind to these within the first steps.
  float same_picture = 0.15f, same_concept = 0.25f;  ///< else: of one folder, keyword, category or race
  float easy_picture = 0.4f, easy_concept = 0.35f;
  long easy_steps = 400;
  float made_up = 0.4f, swapped = 0.25f;  ///< words made up for the sequence, names of other classes; else real

  float dropped_cells = 0.4f, dropped_channels = 0.2f;  ///< of a training picture's features
  int variations = 4;  ///< of each training picture: itself, and cut, mirrored, coloured

  long steps = 1200, rate_warmup = 20;
  double rate = 7e-4, floor = 0.05;
  double resampler_rate = 0.4, gate_rate = 10, decay = 0.1;

  // Before it, and beside it: what the last block says of a picture finds its caption (examples/caption/warmup.hpp).
  long warmup = 250;
  int warmup_pairs = 128, contrast_pairs = 64;
  double contrast = 0.5, loudness = 160;
  double last_gate = 0.25;  ///< where the last block's gate begins
  double word = 1;          ///< how loud the first block says a picture's name at first, in words of the prompt; 0: not

  // The paper's ablations of the training; those of the model are ablation.hpp's.
  int round_robin = 0;   ///< 1: an update is of one dataset in turn; a step is a round of them
  double lm_rate = 0.1;  ///< of a decoder that is trained too, times rate: as the paper's
  std::uint64_t seed = 1;

  /// Updates of a step.
  long turns() const {
    long datasets = 0;
    for (const Share* share : {&pages, &episodes, &noisy, &clean, &animations}) datasets += share->asked();
    return round_robin ? datasets : 1;
  }
};

/// A share on its way from one to the other.
inline float share_at(const Recipe& recipe, float easy, float later, long step) {
  const float done = recipe.easy_steps > 0 ? static_cast<float>(step) / static_cast<float>(recipe.easy_steps) : 1.0f;
  return done >= 1 ? later : easy + done * (later - easy);
}

}  // namespace mixture
