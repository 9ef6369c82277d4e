/// A published dual encoder out of its folder.
#pragma once
#include <filesystem>
#include <memory>

#include <flamingo/io/checkpoint.hpp>
#include <flamingo/model/clip/clip_names.hpp>
#include <flamingo/model/clip/dual_encoder.hpp>
#include <flamingo/model/published.hpp>
#include <flamingo/model/weights.hpp>

namespace flamingo {

/// The weights of the CLIPModel that transformers saved in `folder`; its files stay mapped while any copy of them
/// lives. Throws Error where the folder's config contradicts C, with each differing field side by side, and where a
/// tensor is missing, of another shape, or asked for by nobody.
template <ClipConfig C, Platform P>
PackedWeights<model::DualEncoder<C, P>, P> load_clip(const std::filesystem::path& folder, Held held = Held::as_stored) {
  check_config_of(C, folder);
  const auto file = std::make_shared<const io::Checkpoint>(io::open_checkpoint(folder));
  const TensorTable names = hugging_face_clip_names();
  LoadReport report(folder.string());
  auto weights = PackedWeights<model::DualEncoder<C, P>, P>::load(file, held, names, &report);
  report.look_for_unexpected(*file, names);
  report.finish();
  return weights;
}

}  // namespace flamingo
