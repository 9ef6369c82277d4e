/// What other programs call the tensors of a GPT-NeoX decoder.
#pragma once
#include <string>

#include <flamingo/config/decoder.hpp>
#include <flamingo/model/tensor_map.hpp>

namespace flamingo {

/// Hugging Face's GPTNeoXForCausalLM. One matrix holds queries, keys and values of the first head, then those of the
/// second, and so on; the tables of tokens go on with the added rows. `block` is what comes before a block's tensors.
inline TensorTable gpt_neox_names(const GptNeox& c, const std::string& block = "gpt_neox.layers.*.") {
  const int K = c.head_size();
  const int known = c.added ? c.vocabulary : 0;  // a part of the tables, or all of them
  const std::string fused = block + "attention.query_key_value.", dense = block + "attention.dense.",
                    up = block + "mlp.dense_h_to_4h.", down = block + "mlp.dense_4h_to_h.",
                    norm = block + "input_layernorm.", second = block + "post_attention_layernorm.";
  return {{{"embedding", "gpt_neox.embed_in.weight", 0, known},
           {"added", "gpt_neox.embed_in.weight", c.vocabulary, known},
           {"blocks.*.norm.scale", norm + "weight"},
           {"blocks.*.norm.bias", norm + "bias"},
           {"blocks.*.attention.query", fused + "weight", 0, K, 3 * K},
           {"blocks.*.attention.key", fused + "weight", K, K, 3 * K},
           {"blocks.*.attention.value", fused + "weight", 2 * K, K, 3 * K},
           {"blocks.*.attention.query_bias", fused + "bias", 0, K, 3 * K},
           {"blocks.*.attention.key_bias", fused + "bias", K, K, 3 * K},
           {"blocks.*.attention.value_bias", fused + "bias", 2 * K, K, 3 * K},
           {"blocks.*.attention.out", dense + "weight"},
           {"blocks.*.attention.out_bias", dense + "bias"},
           {"blocks.*.norm_dense.scale", second + "weight"},
           {"blocks.*.norm_dense.bias", second + "bias"},
           {"blocks.*.dense.up", up + "weight"},
           {"blocks.*.dense.up_bias", up + "bias"},
           {"blocks.*.dense.down", down + "weight"},
           {"blocks.*.dense.down_bias", down + "bias"},
           {"norm.scale", "gpt_neox.final_layer_norm.weight"},
           {"norm.bias", "gpt_neox.final_layer_norm.bias"},
           {"output", "embed_out.weight", 0, known},
           {"added_output", "embed_out.weight", c.vocabulary, known}},
          // Buffers that older files hold.
          {block + "attention.rotary_emb.inv_freq", block + "attention.bias", block + "attention.masked_bias"}};
}

}  // namespace flamingo
