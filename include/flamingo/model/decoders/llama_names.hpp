/// What other programs call the tensors of a LLaMA-type decoder.
#pragma once
#include <array>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/config/decoder.hpp>
#include <flamingo/io/gguf.hpp>

namespace flamingo {

namespace detail {

/// Renames "blocks.<i>.<part>" and the names outside the blocks by two tables.
template <std::size_t Outside, std::size_t Inside>
std::string rename_block(std::string_view name, std::string_view block_prefix,
                         const std::array<std::pair<std::string_view, std::string_view>, Outside>& outside,
                         const std::array<std::pair<std::string_view, std::string_view>, Inside>& inside) {
  for (const auto& [ours, theirs] : outside)
    if (name == ours) return std::string(theirs);
  constexpr std::string_view blocks = "blocks.";
  if (name.starts_with(blocks)) {
    const std::string_view rest = name.substr(blocks.size());
    const std::size_t dot = rest.find('.');
    for (const auto& [ours, theirs] : inside)
      if (rest.substr(dot + 1) == ours)
        return std::string(block_prefix) + std::string(rest.substr(0, dot)) + "." + std::string(theirs);
  }
  return std::string(name);
}

}  // namespace detail

/// GGUF's names. Its q and k are permuted for adjacent rotary pairs.
inline std::string gguf_llama_name(std::string_view name) {
  using Pair = std::pair<std::string_view, std::string_view>;
  static constexpr std::array outside{Pair{"embedding", "token_embd.weight"}, Pair{"norm.scale", "output_norm.weight"},
                                      Pair{"output", "output.weight"}};
  static constexpr std::array inside{
      Pair{"norm.scale", "attn_norm.weight"},      Pair{"attention.query", "attn_q.weight"},
      Pair{"attention.key", "attn_k.weight"},      Pair{"attention.value", "attn_v.weight"},
      Pair{"attention.out", "attn_output.weight"}, Pair{"norm_dense.scale", "ffn_norm.weight"},
      Pair{"dense.gate", "ffn_gate.weight"},       Pair{"dense.up", "ffn_up.weight"},
      Pair{"dense.down", "ffn_down.weight"}};
  return detail::rename_block(name, "blk.", outside, inside);
}

/// Hugging Face's names. Its q and k turn in halves.
inline std::string hugging_face_llama_name(std::string_view name) {
  using Pair = std::pair<std::string_view, std::string_view>;
  static constexpr std::array outside{Pair{"embedding", "model.embed_tokens.weight"},
                                      Pair{"norm.scale", "model.norm.weight"}, Pair{"output", "lm_head.weight"}};
  static constexpr std::array inside{
      Pair{"norm.scale", "input_layernorm.weight"},     Pair{"attention.query", "self_attn.q_proj.weight"},
      Pair{"attention.key", "self_attn.k_proj.weight"}, Pair{"attention.value", "self_attn.v_proj.weight"},
      Pair{"attention.out", "self_attn.o_proj.weight"}, Pair{"norm_dense.scale", "post_attention_layernorm.weight"},
      Pair{"dense.gate", "mlp.gate_proj.weight"},       Pair{"dense.up", "mlp.up_proj.weight"},
      Pair{"dense.down", "mlp.down_proj.weight"}};
  return detail::rename_block(name, "model.layers.", outside, inside);
}

/// Throws where a GGUF file's sizes contradict the compiled config: one sentence with each differing field.
inline void check_gguf_llama(const Llama& c, const io::Gguf& file) {
  std::string differing;
  const auto compare = [&](std::string_view key, double compiled) {
    if (const double found = file.number(key); found != compiled) {
      std::ostringstream text;
      text << (differing.empty() ? "" : "; ") << key << " is " << found << ", compiled " << compiled;
      differing += text.str();
    }
  };
  check(file.text("general.architecture") == "llama", "load", file.path().string(), " holds a model of type ",
        file.text("general.architecture"), ", expected llama");
  check(c.rotary_pairs == RotaryPairs::adjacent, "load", file.path().string(),
        ": GGUF permutes q and k for adjacent rotary pairs, the compiled config turns halves");
  compare("llama.embedding_length", c.dim);
  compare("llama.block_count", c.layers);
  compare("llama.attention.head_count", c.heads);
  compare("llama.attention.head_count_kv", c.kv_heads);
  compare("llama.feed_forward_length", c.hidden);
  compare("llama.rope.freq_base", c.rotary_base);
  compare("llama.attention.layer_norm_rms_epsilon", static_cast<double>(c.epsilon));
  check(differing.empty(), "load", file.path().string(), " contradicts the compiled config: ", differing);
}

}  // namespace flamingo
