/// Checkpoints of a training run: weights, moments and the step, written beside and renamed. Random numbers are
/// functions of the step, and data streams too or of a position that the host keeps in the metadata (Mixture::state()),
/// so a resumed run continues bit for bit.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/model/connector_file.hpp>
#include <flamingo/train/state_file.hpp>
#include <flamingo/train/trainer.hpp>

namespace flamingo {

/// Writes everything that a resumed run needs, at full precision, and what else `notes` tells. Of several processes
/// each calls it, and the first one writes: the file is the same however many there are, and so is who may read it.
template <auto C, Platform P, class Lm, TrainedParts parts>
void save_checkpoint(const std::filesystem::path& path, const Trainer<C, P, Lm, parts>& trainer,
                     const io::Metadata& notes = {}) {
  io::Metadata metadata = connector_metadata(C);
  metadata.insert(metadata.end(), notes.begin(), notes.end());
  save_state(trainer.context(), path, trainer.weights, trainer.optimizer, std::move(metadata), trainer.parallel());
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
  check_connector_metadata(C, io::Safetensors(path));
  return load_state(path, trainer.weights, trainer.optimizer);
}

}  // namespace flamingo
