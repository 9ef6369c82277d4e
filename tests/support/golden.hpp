/// Reference data that the original implementations computed, in tests/goldens.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/decoders/llama_names.hpp>
#include <flamingo/model/weights.hpp>

namespace flamingo::test {

#ifndef FLAMINGO_TEST_DATA
#define FLAMINGO_TEST_DATA "tests"
#endif
inline std::filesystem::path golden_path(std::string_view name) {
  return std::filesystem::path(FLAMINGO_TEST_DATA) / "goldens" / name;
}

/// Numbers of a golden tensor, as T.
template <class T>
std::vector<T> numbers(const io::TensorView& tensor) {
  std::vector<T> all(static_cast<std::size_t>(tensor.count()));
  if (tensor.dtype == io::DType::i64)
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i] = static_cast<T>(io::detail::load<std::int64_t>(tensor.bytes.data() + 8 * i));
  else if constexpr (std::is_floating_point_v<T>)
    io::convert(tensor, std::span<T>(all));
  return all;
}

inline io::Json metadata(const io::Safetensors& file, std::string_view name) {
  for (const auto& [key, text] : file.metadata())
    if (key == name) return io::Json::parse(text, file.path().string());
  fail("golden", file.path().string(), " has no '", name, "' in its metadata");
}

/// The decoder of lm_llama: transformers' LlamaForCausalLM.
inline constexpr Llama lm_llama{.dim = 32,
                                .layers = 3,
                                .heads = 4,
                                .kv_heads = 2,
                                .hidden = 52,
                                .vocabulary = 84,
                                .context = 64,
                                .epsilon = 1e-6f,
                                .tied = false};
/// Its weights, after a look at config.json that they are those of lm_llama.
template <class Decoder, Platform P>
Store<Decoder, P> load_lm_llama() {
  const io::Json config =
      io::Json::parse(std::string(io::MappedFile(golden_path("lm_llama/config.json")).text()), "config.json");
  const auto is = [&](std::string_view name, double compiled) {
    check(config.at(name).as_double() == compiled, "golden", "lm_llama's ", name, " is not ", compiled);
  };
  is("hidden_size", lm_llama.dim);
  is("num_hidden_layers", lm_llama.layers);
  is("num_attention_heads", lm_llama.heads);
  is("num_key_value_heads", lm_llama.kv_heads);
  is("intermediate_size", lm_llama.hidden);
  is("vocab_size", lm_llama.vocabulary);
  is("rope_theta", lm_llama.rotary_base);
  is("rms_norm_eps", 1e-6);
  Store<Decoder, P> store;
  load_numbers<Decoder>(io::Safetensors(golden_path("lm_llama/model.safetensors")), store.views,
                        hugging_face_llama_names(lm_llama));
  return store;
}

/// Row b of a left-padded batch without its padding.
inline std::vector<int> unpadded(const io::Safetensors& file, int b) {
  const auto ids = numbers<int>(file.at("in.input_ids")), mask = numbers<int>(file.at("in.attention_mask"));
  const auto T = static_cast<std::size_t>(file.at("in.input_ids").shape[1]), from = static_cast<std::size_t>(b) * T;
  std::vector<int> row;
  for (std::size_t t = from; t < from + T; ++t)
    if (mask[t]) row.push_back(ids[t]);
  return row;
}

}  // namespace flamingo::test
