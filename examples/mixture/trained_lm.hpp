/// The decoder of a trainer: frozen, as the paper has it, or trained too, as an ablation of it (TrainedParts::lm).
#pragma once
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "../caption/model.hpp"

#include <flamingo/model/config_fields.hpp>
#include <flamingo/train/trainer.hpp>

namespace mixture {

/// Whether a Trainer trains its decoder.
template <class T>
concept TrainsLm = requires(const T& trainer) { trainer.weights.views.lm; };

/// A trainer whose decoder is that of the backbones. One that is trained begins as lm.safetensors in `folder` has it.
template <class Trainer>
Trainer trainer_of(flamingo::Context<caption::P>& ctx, const caption::Backbones& backbones,
                   [[maybe_unused]] const std::filesystem::path& folder, std::uint64_t seed,
                   flamingo::Schedule schedule, flamingo::OptimizerOptions options) {
  if constexpr (TrainsLm<Trainer>) {
    Trainer trainer(ctx, seed, schedule, std::move(options));
    flamingo::load_numbers<caption::Lm>(flamingo::io::Safetensors(folder / "lm.safetensors"), trainer.weights.views.lm);
    return trainer;
  } else {
    return Trainer(ctx, backbones.lm.views, seed, schedule, std::move(options));
  }
}

template <class Trainer>
const auto& lm_of(const Trainer& trainer) {
  if constexpr (TrainsLm<Trainer>)
    return trainer.weights.views.lm;
  else
    return trainer.frozen_lm();
}

/// Writes a decoder that was trained; a frozen one lies where it lay.
template <class Trainer>
void save_lm([[maybe_unused]] const std::filesystem::path& path, [[maybe_unused]] const Trainer& trainer) {
  if constexpr (TrainsLm<Trainer>) {
    flamingo::TensorWriter writer(flamingo::io::DType::f32);
    writer.add<caption::Lm>(trainer.weights.views.lm);
    writer.save(path, {{"lm", flamingo::field_text(caption::config.lm)}});
  }
}

/// Sets the gate that a block begins with. Returns 1, or for a block without a gate what the gate would let pass.
template <class Block>
double open_gate([[maybe_unused]] Block& block, double gate) {
  if constexpr (requires { block.attention_gate.data[0]; }) {
    block.attention_gate.data[0] = static_cast<float>(gate);
    return 1;
  } else {
    return std::tanh(gate);
  }
}

}  // namespace mixture
