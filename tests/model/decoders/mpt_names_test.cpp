#include <flamingo/model/decoders/mpt_names.hpp>

#include <catch2/catch.hpp>

#include <flamingo/model/decoders/mpt.hpp>

#include "model/round_trip.hpp"
#include "support/golden.hpp"

namespace mpt_names_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr Mpt plain{.dim = 48, .layers = 2, .heads = 6, .vocabulary = 70, .context = 40};
/// The same with its last five entries as added rows.
constexpr Mpt divided = [] {
  Mpt c = plain;
  c.vocabulary = 65;
  c.added = 5;
  return c;
}();
constexpr Mpt mpt_1b{.dim = 12, .layers = 2, .heads = 3, .vocabulary = 17, .qk_norm = true, .tied = false};

template <Mpt C>
using Decoder = model::MptDecoder<C, Cpu<float>>;

}  // namespace

TEST_CASE("An MPT file is read whole and written back the same") {
  const io::Safetensors file(golden_path("lm_mpt_6heads_clipqkv/model.safetensors"));
  check_round_trip<Decoder<plain>>(file, mpt_names(plain));
  check_round_trip<Decoder<divided>>(file, mpt_names(divided));
}

TEST_CASE("MPT's names are those that the published files have") {
  const auto place = [](const Mpt& c, const char* ours, MptNaming naming) {
    return mpt_names(c, naming).place(matrix_spec(ours, 12, 12, Init::zero()));
  };
  const auto name = [&](const char* ours, MptNaming naming) { return place(mpt_1b, ours, naming).name; };
  CHECK(name("blocks.1.norm.scale", MptNaming::norm_ffn) == "transformer.blocks.1.norm_1.weight");
  CHECK(name("blocks.1.norm.scale", MptNaming::ln_mlp) == "transformer.blocks.1.ln_1.weight");
  CHECK(name("blocks.0.norm_dense.scale", MptNaming::norm_ffn) == "transformer.blocks.0.norm_2.weight");
  CHECK(name("blocks.0.norm_dense.scale", MptNaming::ln_mlp) == "transformer.blocks.0.ln_2.weight");
  CHECK(name("blocks.0.attention.query_norm.scale", MptNaming::ln_mlp) == "transformer.blocks.0.attn.q_ln.weight");
  CHECK(name("blocks.0.attention.key_norm.scale", MptNaming::ln_mlp) == "transformer.blocks.0.attn.k_ln.weight");
  CHECK(name("blocks.0.dense.up", MptNaming::norm_ffn) == "transformer.blocks.0.ffn.up_proj.weight");
  CHECK(name("blocks.0.dense.up", MptNaming::ln_mlp) == "transformer.blocks.0.mlp.mlp_up.weight");
  CHECK(name("blocks.0.dense.down", MptNaming::norm_ffn) == "transformer.blocks.0.ffn.down_proj.weight");
  CHECK(name("blocks.0.dense.down", MptNaming::ln_mlp) == "transformer.blocks.0.mlp.mlp_down.weight");
  CHECK(name("norm.scale", MptNaming::norm_ffn) == "transformer.norm_f.weight");
  CHECK(name("norm.scale", MptNaming::ln_mlp) == "transformer.ln_f.weight");
  // Queries, keys and values are thirds of one matrix, in this order.
  for (int third = 0; const char* part : {"query", "key", "value"}) {
    const auto at = place(mpt_1b, (std::string("blocks.1.attention.") + part).c_str(), MptNaming::ln_mlp);
    CHECK(at.name == "transformer.blocks.1.attn.Wqkv.weight");
    for (int r = 0; r < 12; ++r) CHECK(at.row(r) == third + r);
    third += 12;
  }
}

TEST_CASE("Every parameter of MPT-1B has a place, and every foreign tensor is written whole") {
  Store<Decoder<mpt_1b>, Cpu<float>> store(3);
  TensorWriter writer(io::DType::f32);
  writer.add<Decoder<mpt_1b>>(store.views, mpt_names(mpt_1b, MptNaming::ln_mlp));
  std::size_t numbers = 0;
  for (const io::TensorView& tensor : writer.tensors()) numbers += static_cast<std::size_t>(tensor.count());
  CHECK(numbers == parameter_count<Decoder<mpt_1b>>());
  CHECK(writer.tensors().size() == 3 + 2 * 8);
}

}  // namespace mpt_names_test
