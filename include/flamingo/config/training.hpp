/// What a training run chooses beside the model's config: which parts it trains, and how datasets make updates.
#pragma once

namespace flamingo {

/// The parts whose weights a run changes. The paper trains the connector and the row of <EOC>; its ablations train the
/// decoder or the encoder too. Whether those begin as a checkpoint has them (fine-tuned) or as new (from scratch) is
/// what a trainer's weights hold before the first step.
struct TrainedParts {
  bool added_rows = false;  ///< the decoder's added rows alone, while its table stays frozen
  bool lm = false;          ///< the whole decoder, added rows among it
  bool vision = false;      ///< the encoder: features are computed in the step, from pixels
  int lora = 0;             ///< rank of what is added to each matrix of the frozen decoder's blocks (LoRA); 0: nothing

  /// Whether the connector alone is trained.
  constexpr bool connector_alone() const { return !added_rows && !lm && !vision && lora == 0; }
  friend constexpr bool operator==(const TrainedParts&, const TrainedParts&) = default;
};

/// How the datasets of a mixture make updates.
enum class Mixing {
  accumulation,  ///< the paper: every update sums the gradients of a batch of each dataset, weighted by λ
  round_robin,   ///< the paper's ablation, worse: each update is of one dataset's batch, in turn
  merged,        ///< one batch of all datasets' documents; each token counts the same, λ does not
};

/// What each dataset's loss is a mean of.
enum class TokenMean {
  of_dataset,   ///< the paper: the mean over the tokens asked for of each dataset's batch, weighted by λ
  of_datasets,  ///< Σ λ over the tokens of all datasets' batches, divided by how many those are: long batches count
                ///< more
};

/// How a run computes its steps, beside what it trains.
struct TrainingOptions {
  /// Of each block only what it reads is kept for backward, which computes the block again (Chen et al. 2016): the same
  /// bits in less memory, for about a third more work. Blocks are a decoder block with its gated block, the
  /// Resampler, and an encoder that is trained.
  bool recompute = false;
  /// Sequences of a batch that a pass takes at a time (micro-batches): the gradient is the whole batch's but for
  /// rounding, memory that of a part. 0: all of them. training_plan.hpp tells how many fit.
  int sequences_at_once = 0;
  TokenMean mean = TokenMean::of_dataset;
  /// ζ of an addition ζ · log² Z to each token's loss, Z the sum under its softmax (Chowdhery et al. 2022: 1e-4).
  double z_loss = 0;
};

}  // namespace flamingo
