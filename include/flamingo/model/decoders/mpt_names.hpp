/// What other programs call the tensors of an MPT decoder.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include <flamingo/config/decoder.hpp>
#include <flamingo/model/tensor_map.hpp>

namespace flamingo {

/// Whose names: MPT-1B was published before MosaicML renamed the parts of a block.
enum class MptNaming {
  norm_ffn,  ///< norm_1, ffn.up_proj, norm_f: MPT-7B, and Hugging Face's MptForCausalLM
  ln_mlp,    ///< ln_1, mlp.mlp_up, ln_f: MPT-1B
};

/// One matrix holds queries, keys and values one after another; the table of tokens goes on with the added rows.
/// `block` is what comes before a block's tensors.
inline TensorTable mpt_names(const Mpt& c, MptNaming naming = MptNaming::norm_ffn,
                             const std::string& block = "transformer.blocks.*.") {
  const bool old = naming == MptNaming::ln_mlp;
  const std::string norm = block + (old ? "ln_" : "norm_"), fused = block + "attn.Wqkv.weight";
  const int known = c.added ? c.vocabulary : 0;  // a part of the table, or all of it
  std::vector<TensorRule> rules{
      {"embedding", "transformer.wte.weight", 0, known},
      {"added", "transformer.wte.weight", c.vocabulary, known},
      {"blocks.*.norm.scale", norm + "1.weight"},
      {"blocks.*.attention.query", fused, 0, c.dim},
      {"blocks.*.attention.key", fused, c.dim, c.dim},
      {"blocks.*.attention.value", fused, 2 * c.dim, c.dim},
      {"blocks.*.attention.out", block + "attn.out_proj.weight"},
      {"blocks.*.attention.query_norm.scale", block + "attn.q_ln.weight"},
      {"blocks.*.attention.key_norm.scale", block + "attn.k_ln.weight"},
      {"blocks.*.norm_dense.scale", norm + "2.weight"},
      {"blocks.*.dense.up", block + (old ? "mlp.mlp_up.weight" : "ffn.up_proj.weight")},
      {"blocks.*.dense.down", block + (old ? "mlp.mlp_down.weight" : "ffn.down_proj.weight")},
      {"norm.scale", old ? "transformer.ln_f.weight" : "transformer.norm_f.weight"},
      {"output", "lm_head.weight", 0, known},
      {"added_output", "lm_head.weight", c.vocabulary, known},
  };
  // A tied output layer may be written a second time.
  return {std::move(rules), c.tied ? std::vector<std::string>{"lm_head.weight"} : std::vector<std::string>{}};
}

}  // namespace flamingo
