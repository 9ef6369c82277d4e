/// Checkpoints of a training run: weights, moments and the step, written beside and renamed. Random numbers are
/// functions of the step, and data streams too or of a position that the host keeps in the metadata (Mixture::state()),
/// so a resumed run continues bit for bit.
#pragma once
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/model/connector_file.hpp>
#include <flamingo/train/trainer.hpp>

namespace flamingo {

/// Our names after a prefix.
inline TensorTable named_after(std::string prefix) {
  return {[prefix](std::string_view name) { return prefix + std::string(name); }};
}

/// Writes everything that a resumed run needs, at full precision, and what else `notes` tells.
template <auto C, Platform P, class Lm, TrainedParts parts>
void save_checkpoint(const std::filesystem::path& path, const Trainer<C, P, Lm, parts>& trainer,
                     const io::Metadata& notes = {}) {
  using Layer = typename Trainer<C, P, Lm, parts>::Layer;
  constexpr io::DType dtype = std::is_same_v<AccumulateOf<P>, double> ? io::DType::f64 : io::DType::f32;
  TensorWriter writer(dtype);
  writer.add<Layer>(trainer.weights.views, named_after("weights."));
  writer.add<Layer>(trainer.optimizer.first.views, named_after("first."));
  writer.add<Layer>(trainer.optimizer.second.views, named_after("second."));
  io::Metadata metadata = connector_metadata(C);
  metadata.emplace_back("step", std::to_string(trainer.optimizer.steps()));
  metadata.insert(metadata.end(), notes.begin(), notes.end());
  writer.save(path, metadata);
}

/// What save_checkpoint() was told under a name; empty where it was not.
inline std::string checkpoint_note(const std::filesystem::path& path, std::string_view name) {
  const io::Safetensors file(path);
  for (const auto& [key, value] : file.metadata())
    if (key == name) return value;
  return {};
}

/// Returns the step to continue after. Throws, with the trainer as it was, where the file does not fit.
template <auto C, Platform P, class Lm, TrainedParts parts>
long load_checkpoint(const std::filesystem::path& path, Trainer<C, P, Lm, parts>& trainer) {
  using Layer = typename Trainer<C, P, Lm, parts>::Layer;
  const io::Safetensors file(path);
  check_connector_metadata(C, file);
  long step = -1;
  for (const auto& [key, value] : file.metadata())
    if (key == "step") {
      const char* end = value.data() + value.size();
      const auto [at, error] = std::from_chars(value.data(), end, step);
      check(error == std::errc{} && at == end && step >= 0, "checkpoint", path.string(), ": its step is '", value,
            "', expected a number of steps");
    }
  check(step >= 0, "checkpoint", path.string(), " has no 'step' in its metadata");
  Store<Layer, P> weights;
  decltype(trainer.optimizer.first) first, second;
  load_numbers<Layer>(file, weights.views, named_after("weights."));
  load_numbers<Layer>(file, first.views, named_after("first."));
  load_numbers<Layer>(file, second.views, named_after("second."));
  trainer.weights = std::move(weights);
  trainer.optimizer.first = std::move(first);
  trainer.optimizer.second = std::move(second);
  trainer.optimizer.set_steps(step);
  return step;
}

}  // namespace flamingo
