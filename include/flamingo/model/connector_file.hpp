/// Files of what Flamingo adds between two frozen models: its weights, and the choices that its tensors do not show,
/// such as which pictures a token sees.
#pragma once
#include <filesystem>
#include <string>
#include <utility>

#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/config_fields.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/weights.hpp>

namespace flamingo {

/// The Resampler's and the gated blocks' configs as a file's metadata, in the words of C++.
template <class Vision, class Lm>
io::Metadata connector_metadata(FlamingoConfig<Vision, Lm> c) {
  c.xattn.split = 1;  // a file holds whole tensors
  return {{"resampler", field_text(c.resampler)}, {"xattn", field_text(c.xattn)}};
}

/// Throws Error where a file says that it belongs to another config than the compiled one; both are shown. A file that
/// says nothing passes.
template <class Vision, class Lm>
void check_connector_metadata(const FlamingoConfig<Vision, Lm>& c, const io::Safetensors& file) {
  for (const auto& [name, compiled] : connector_metadata(c))
    for (const auto& [key, found] : file.metadata())
      check(key != name || found == compiled, "load", file.path().string(), ": its ", name, " is ", found,
            ", compiled is ", compiled);
}

/// Writes a connector's parameters in f32, f16 or bf16, with its config and what else `metadata` tells.
template <auto C, Platform P, class Parameters>
void save_connector(const std::filesystem::path& path, const Parameters& p, io::DType dtype,
                    io::Metadata metadata = {}) {
  for (auto& entry : connector_metadata(C)) metadata.push_back(std::move(entry));
  TensorWriter writer(dtype);
  writer.add<model::Connector<C, P>>(p);
  writer.save(path, metadata);
}

/// Reads what save_connector() wrote. Throws Error where the file's config contradicts C, or a tensor is missing or of
/// another shape.
template <auto C, Platform P, class Parameters>
void load_connector(const std::filesystem::path& path, Parameters& p) {
  const io::Safetensors file(path);
  check_connector_metadata(C, file);
  load_numbers<model::Connector<C, P>>(file, p);
}

}  // namespace flamingo
