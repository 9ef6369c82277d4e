#include <flamingo/model/open_flamingo_names.hpp>

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include <flamingo/model/flamingo.hpp>

#include "model/round_trip.hpp"
#include "support/golden.hpp"

namespace open_flamingo_names_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

struct NoVision {};
constexpr FlamingoConfig<NoVision, Mpt> over_mpt{
    .resampler = {.dim = 24, .latents = 6, .layers = 2, .heads = 4, .head_dim = 8, .frames = 0},
    .xattn = {.every = 2, .offset = 1, .heads = 4, .head_dim = 8},
    .lm = {.dim = 32, .layers = 4, .heads = 4, .vocabulary = 96, .added = 3}};
constexpr FlamingoConfig<NoVision, GptNeox> over_neox{
    .resampler = {.dim = 24, .latents = 5, .layers = 2, .heads = 3, .head_dim = 8, .frames = 0},
    .xattn = {.every = 1, .heads = 3, .head_dim = 8},
    .lm = {.dim = 32, .layers = 3, .heads = 4, .hidden = 72, .vocabulary = 88, .added = 3}};

/// A layer's parameters and another's as those of one.
template <class A, class B>
struct Both {
  template <class S>
  struct Parameters {
    typename A::template Parameters<S> first;
    typename B::template Parameters<S> second;
  };
  static constexpr void each(auto& visit, auto&... p) {
    A::each(visit, p.first...);
    B::each(visit, p.second...);
  }
};

}  // namespace

TEST_CASE("A file of a whole OpenFlamingo is read whole and written back the same") {
  using P = Cpu<float>;
  using Mpts = Both<model::Connector<over_mpt, P>, DecoderOf<over_mpt.lm, P>>;
  using Neoxes = Both<model::Connector<over_neox, P>, DecoderOf<over_neox.lm, P>>;
  const auto names = [](const auto& c) { return open_flamingo_names(c).with(open_flamingo_lm_names(c.lm)); };
  check_round_trip<Mpts>(io::Safetensors(golden_path("openflamingo_mpt.safetensors")), names(over_mpt), "param.",
                         "param.vision_encoder.");
  check_round_trip<Neoxes>(io::Safetensors(golden_path("openflamingo_neox.safetensors")), names(over_neox), "param.",
                           "param.vision_encoder.");
}

namespace {

/// The file's list of what open_flamingo's training saved, but the tables of tokens: exactly the connector's tensors.
template <auto C>
void check_checkpoint(const char* name) {
  using Connector = model::Connector<C, Cpu<float>>;
  const io::Safetensors file(golden_path(name));
  std::set<std::string> ours, theirs, tables;
  const TensorTable names = open_flamingo_names(C);
  auto put = [&](const Spec& spec) { ours.insert(names.place(spec).name); };
  Connector::each(put);
  const io::Json keys = metadata(file, "checkpoint_keys");
  for (const io::Json& key : keys.as_array()) {
    const std::string& text = key.as_string();
    const bool table =
        text.find("embed_") != text.npos || text.find("wte") != text.npos || text.find("lm_head") != text.npos;
    (table ? tables : theirs).insert(text);
  }
  CHECK(ours == theirs);
  CHECK(tables.size() == 2);
  const TensorTable lm = open_flamingo_lm_names(C.lm);
  CHECK(tables.count(lm.place(table_spec("embedding", C.lm.vocabulary, C.lm.dim, Init::zero())).name) == 1);
  CHECK(tables.count(lm.place(table_spec("output", C.lm.vocabulary, C.lm.dim, Init::zero())).name) == 1);
}

}  // namespace

TEST_CASE("The connector's names are the keys of OpenFlamingo's checkpoints", "[open_flamingo]") {
  check_checkpoint<over_mpt>("openflamingo_mpt.safetensors");
  check_checkpoint<over_neox>("openflamingo_neox.safetensors");
}

TEST_CASE("Gated blocks have the names of the decoder blocks that they stand before") {
  const TensorTable mpt = open_flamingo_names(over_mpt), neox = open_flamingo_names(over_neox);
  const auto name = [](const TensorTable& table, const char* ours) {
    return table.place(matrix_spec(ours, 32, 32, Init::zero())).name;
  };
  CHECK(name(mpt, "gated.0.attention_gate") == "lang_encoder.transformer.blocks.1.gated_cross_attn_layer.attn_gate");
  CHECK(name(mpt, "gated.1.dense.up") == "lang_encoder.transformer.blocks.3.gated_cross_attn_layer.ff.1.weight");
  CHECK(name(neox, "gated.2.norm.bias") == "lang_encoder.gpt_neox.layers.2.gated_cross_attn_layer.attn.norm.bias");
  CHECK(name(mpt, "resampler.blocks.1.attention.value") == "perceiver.layers.1.0.to_kv.weight");
  CHECK_THROWS_WITH(name(mpt, "gated.2.dense.up"), Catch::Contains("gated.2.dense.up"));
}

TEST_CASE("The decoder of a whole checkpoint lies beside the gated blocks, its tables outside") {
  const auto name = [](const TensorTable& table, const char* ours) {
    return table.place(matrix_spec(ours, 32, 32, Init::zero())).name;
  };
  const TensorTable old = open_flamingo_lm_names(over_mpt.lm, MptNaming::ln_mlp);
  CHECK(name(old, "blocks.2.dense.up") == "lang_encoder.transformer.blocks.2.decoder_layer.mlp.mlp_up.weight");
  CHECK(name(old, "blocks.2.attention.query_norm.scale") ==
        "lang_encoder.transformer.blocks.2.decoder_layer.attn.q_ln.weight");
  CHECK(name(old, "norm.scale") == "lang_encoder.transformer.ln_f.weight");
  CHECK(name(old, "embedding") == "lang_encoder.transformer.wte.weight");
  const TensorTable neox = open_flamingo_lm_names(over_neox.lm);
  CHECK(name(neox, "blocks.0.dense.down") == "lang_encoder.gpt_neox.layers.0.decoder_layer.mlp.dense_4h_to_h.weight");
  CHECK(name(neox, "embedding") == "lang_encoder.gpt_neox.embed_in.weight");
  CHECK(name(neox, "output") == "lang_encoder.embed_out.weight");
}

TEST_CASE("Modules by themselves have the peers' names") {
  const auto file = [](const char* name) { return io::Safetensors(golden_path(name)); };
  using P = Cpu<float>;
  constexpr ResamplerConfig timed{
      .dim = 16, .latents = 4, .layers = 2, .heads = 2, .head_dim = 8, .widening = 2, .frames = 6, .media = 5},
      placed{.dim = 20, .latents = 6, .layers = 2, .heads = 4, .head_dim = 8, .frames = 0, .media = 4};
  // Shapes of (places, 1, D) tables are not ours to keep: they are read, and compared by the checks of the modules.
  Store<model::Resampler<timed, P>, P> a;
  Store<model::Resampler<placed, P>, P> b;
  CHECK_NOTHROW(load_numbers<model::Resampler<timed, P>>(file("resampler_openflamingo_media.safetensors"), a.views,
                                                         perceiver_names(timed).within("", "param.")));
  CHECK_NOTHROW(
      load_numbers<model::Resampler<placed, P>>(file("resampler_lucidrains.safetensors"), b.views,
                                                perceiver_names(placed, "media_pos_emb").within("", "param.")));
  constexpr XattnConfig gated{.heads = 3, .head_dim = 8};
  check_round_trip<model::GatedCrossAttention<gated, 20, 20, P>>(file("xattn_lucidrains_all.safetensors"),
                                                                 gated_cross_attention_names(gated), "param.");
}

}  // namespace open_flamingo_names_test
