/// What a run of training takes, part by part, told before its first step; and how much of a batch fits at a time.
#pragma once
#include <algorithm>
#include <string>
#include <type_traits>

#include <flamingo/memory_plan.hpp>
#include <flamingo/train/trainer.hpp>

namespace flamingo {

/// Bytes of each part.
struct TrainingPlan {
  double weights = 0;      ///< of what is trained, and copies of them where P computes in fewer bits
  double gradients = 0;    ///< in the type of sums
  double moments = 0;      ///< the optimiser's state
  double frozen_lm = 0;    ///< the decoder, where it is not trained
  double encoder = 0;      ///< the frozen encoder, where it stays in memory; else its features are all that is read
  double activations = 0;  ///< what forward keeps for backward, the pass's features or pixels among it
  double workspace = 0;    ///< scratch of a pass, or of a picture in the frozen encoder
  double drawn = 0;  ///< the update's other features or pixels: all of its batches are drawn before its first pass

  double all() const { return weights + gradients + moments + frozen_lm + encoder + activations + workspace + drawn; }
  /// A line for each.
  std::string text() const {
    std::string lines;
    const auto add = [&](std::string name, double bytes) {
      if (bytes == 0) return;
      const std::string value = detail::bytes_text(bytes);
      name.resize(46 - std::min<std::size_t>(46, value.size()), ' ');
      lines += "  " + name + value + "\n";
    };
    add("trained weights", weights);
    add("gradients", gradients);
    add("optimiser's moments", moments);
    add("frozen decoder", frozen_lm);
    add("frozen encoder", encoder);
    add("activations, features among them", activations);
    add("workspace", workspace);
    add("other batches of the update", drawn);
    add("all", all());
    return lines;
  }
};

/// How a run is held in memory.
struct TrainingHeld {
  MomentFormat moments = MomentFormat::full;
  Format frozen = Format::bf16;  ///< of the frozen decoder's and encoder's matrices
  bool encoder = false;          ///< whether the frozen encoder stays in memory
};

/// The plan of a run that trains C's connector and what else `parts` says: an update over the workload's batches.
template <auto C, Platform P, TrainedParts parts = TrainedParts{}>
TrainingPlan training_plan(const Workload& work, const TrainingHeld& held, const TrainingOptions& options = {}) {
  using Layer = TrainedOf<C, P, parts>;
  using A = AccumulateOf<P>;
  constexpr auto numbers = static_cast<double>(flat_size<Layer>()), whole = numbers * sizeof(A);
  const TrainingMemory pass = training_memory<C, P, parts>(work, options, held.frozen);
  TrainingPlan plan{.weights = whole + (RoundedWeights<Layer, P>::copied ? numbers * sizeof(typename P::Real) : 0),
                    .gradients = whole,
                    .moments = 2 * numbers * moment_bytes<A>(held.moments),
                    .activations = pass.activations,
                    .workspace = pass.scratch,
                    .drawn = pass.drawn};
  if constexpr (!parts.lm) plan.frozen_lm = weight_memory<DecoderOf<C.lm, P>, P>(held.frozen).bytes();
  if constexpr (!parts.vision)
    if (held.encoder) {
      plan.encoder = weight_memory<Encoder<frozen_encoder(C.vision), P>, P>(held.frozen).bytes();
      plan.workspace = std::max(plan.workspace, encoding_memory<C, P>(work, held.frozen));
    }
  return plan;
}

/// The same of a trainer as it is, before its first step. `encoder` are the bytes of a frozen one that stays in memory.
template <auto C, Platform P, class Lm, TrainedParts parts>
TrainingPlan training_plan(const Trainer<C, P, Lm, parts>& trainer, const Workload& work, double encoder = 0) {
  TrainingHeld held{.moments = trainer.optimizer.first.format(), .frozen = own_format<P>, .encoder = encoder > 0};
  if constexpr (!parts.lm) {  // one of another format tells of all
    auto see = [&](const Spec&, const auto& leaf) {
      if constexpr (requires { leaf.format; })
        if (leaf.format != own_format<P>) held.frozen = leaf.format;
    };
    DecoderOf<C.lm, P>::each(see, trainer.frozen_lm());
  }
  TrainingPlan plan = training_plan<C, P, parts>(work, held, trainer.options());
  plan.encoder = encoder;
  plan.moments = static_cast<double>(trainer.optimizer.first.bytes() + trainer.optimizer.second.bytes());  // its share
  plan.frozen_lm = 0;
  if constexpr (!parts.lm) {
    auto add = [&](const Spec&, const auto& leaf) {
      if constexpr (requires { leaf.row_bytes(); }) {
        const int rows = leaf.panels ? (int(leaf.rows) + panel_rows - 1) / panel_rows * panel_rows : int(leaf.rows);
        plan.frozen_lm +=
            static_cast<double>(rows) * static_cast<double>(leaf.row_bytes() + (leaf.scales ? sizeof(float) : 0));
      } else {
        plan.frozen_lm += static_cast<double>(leaf.size() * sizeof(*leaf.data));
      }
    };
    DecoderOf<C.lm, P>::each(add, trainer.frozen_lm());
  }
  return plan;
}

/// How many of the workload's sequences a pass can take at a time where `bytes` are there for activations and
/// workspace, beside the update's batches: TrainingOptions::sequences_at_once. 0: not even one. `frozen` is the format
/// of a frozen decoder's matrices.
template <auto C, Platform P, TrainedParts parts = TrainedParts{}>
int sequences_that_fit(Workload work, double bytes, TrainingOptions options = {}, Format frozen = own_format<P>) {
  int fits = 0, beyond = work.sequences + 1;
  options.sequences_at_once = 0;
  work.batches = 1;
  while (fits + 1 < beyond) {
    work.sequences = fits + (beyond - fits) / 2;
    if (training_memory<C, P, parts>(work, options, frozen).most() <= bytes)
      fits = work.sequences;
    else
      beyond = work.sequences;
  }
  return fits;
}

}  // namespace flamingo
