/// What other programs call the tensors of a LLaMA-type decoder.
#pragma once
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/config/decoder.hpp>
#include <flamingo/io/gguf.hpp>
#include <flamingo/model/tensor_map.hpp>

namespace flamingo {

/// Hugging Face's LlamaForCausalLM, whose queries and keys turn in halves. The tables of tokens go on with the added
/// rows.
inline TensorTable hugging_face_llama_names(const Llama& c) {
  const int known = c.added ? c.vocabulary : 0;  // a part of the tables, or all of them
  const std::string block = "model.layers.*.";
  std::vector<TensorRule> rules{
      {"embedding", "model.embed_tokens.weight", 0, known},
      {"added", "model.embed_tokens.weight", c.vocabulary, known},
      {"blocks.*.norm.scale", block + "input_layernorm.weight"},
      {"blocks.*.attention.query", block + "self_attn.q_proj.weight"},
      {"blocks.*.attention.key", block + "self_attn.k_proj.weight"},
      {"blocks.*.attention.value", block + "self_attn.v_proj.weight"},
      {"blocks.*.attention.out", block + "self_attn.o_proj.weight"},
      {"blocks.*.norm_dense.scale", block + "post_attention_layernorm.weight"},
      {"blocks.*.dense.gate", block + "mlp.gate_proj.weight"},
      {"blocks.*.dense.up", block + "mlp.up_proj.weight"},
      {"blocks.*.dense.down", block + "mlp.down_proj.weight"},
      {"norm.scale", "model.norm.weight"},
      {"output", "lm_head.weight", 0, known},
      {"added_output", "lm_head.weight", c.vocabulary, known},
  };
  std::vector<std::string> ignored{block + "self_attn.rotary_emb.inv_freq"};  // a buffer of older files
  if (c.tied) ignored.push_back("lm_head.weight");                            // the embedding a second time
  return {std::move(rules), std::move(ignored)};
}

/// GGUF's, whose queries and keys are permuted for adjacent rotary pairs: they are read as they lie.
inline TensorTable gguf_llama_names(const Llama& c) {
  const int known = c.added ? c.vocabulary : 0;
  const std::string block = "blk.*.";
  return {{{"embedding", "token_embd.weight", 0, known},
           {"added", "token_embd.weight", c.vocabulary, known},
           {"blocks.*.norm.scale", block + "attn_norm.weight"},
           {"blocks.*.attention.query", block + "attn_q.weight"},
           {"blocks.*.attention.key", block + "attn_k.weight"},
           {"blocks.*.attention.value", block + "attn_v.weight"},
           {"blocks.*.attention.out", block + "attn_output.weight"},
           {"blocks.*.norm_dense.scale", block + "ffn_norm.weight"},
           {"blocks.*.dense.gate", block + "ffn_gate.weight"},
           {"blocks.*.dense.up", block + "ffn_up.weight"},
           {"blocks.*.dense.down", block + "ffn_down.weight"},
           {"norm.scale", "output_norm.weight"},
           {"output", "output.weight", 0, known},
           {"added_output", "output.weight", c.vocabulary, known}},
          {"rope_freqs.weight"}};
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
