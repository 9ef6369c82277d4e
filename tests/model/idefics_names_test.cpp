#include <flamingo/model/idefics_names.hpp>

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include <flamingo/cpu.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/model/weights.hpp>

#include "io/files.hpp"
#include "support/golden.hpp"
#include "support/layer.hpp"

namespace idefics_names_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::TemporaryFolder;

namespace {

/// Every kind of parameter that Idefics has: norms of queries and keys, and added rows.
constexpr FlamingoConfig<Vit, Llama> config{
    .vision = {.image = 6, .patch = 3, .dim = 4, .layers = 2, .heads = 2, .hidden = 5, .class_out = true},
    .resampler = {.dim = 4,
                  .latents = 3,
                  .layers = 2,
                  .heads = 2,
                  .head_dim = 3,
                  .qk_norm = QkNorm::heads_layer,
                  .activation = Activation::relu,
                  .frames = 0},
    .xattn = {.every = 2,
              .heads = 2,
              .head_dim = 3,
              .qk_norm = QkNorm::heads_rms,
              .hidden = 7,
              .activation = Activation::silu,
              .gated_dense = true,
              .norm = NormKind::rms,
              .vector_gates = true},
    .lm = {.dim = 8, .layers = 4, .heads = 2, .kv_heads = 2, .hidden = 7, .vocabulary = 11, .added = 3}};
using P = Cpu<float>;
using Vision = Encoder<config.vision, P>;
using Connect = model::Flamingo<config, P>::Connect;
using Decoder = model::Flamingo<config, P>::Decoder;
const TensorTable all_names = idefics_vision_names().with(idefics_connector_names()).with(idefics_lm_names(config.lm));

template <class Layer>
void collect(const TensorTable& table, std::set<std::string>& names) {
  auto add = [&](const Spec& spec) { CHECK(names.insert(table.place(spec).name).second); };
  Layer::each(add);
}

}  // namespace

TEST_CASE("Idefics' tensors are called as transformers calls them", "[idefics]") {
  std::set<std::string> names;
  collect<Vision>(idefics_vision_names(), names);
  collect<Connect>(idefics_connector_names(), names);
  collect<Decoder>(idefics_lm_names(config.lm), names);
  // A file with norms of queries and keys has these besides what idefics_base has, whose blocks are as many.
  const io::Safetensors file(golden_path("idefics_base/model.safetensors"));
  std::set<std::string> expected;
  for (const io::TensorView& tensor : file.tensors())
    if (!all_names.ignores(tensor.name)) expected.insert(tensor.name);
  for (const char* layer : {"0", "1"})
    for (const char* norm : {"q_layer_norm", "k_layer_norm"}) {
      expected.insert(std::string("model.gated_cross_attn_layers.") + layer + ".cross_attn." + norm + ".weight");
      for (const char* part : {".weight", ".bias"})
        expected.insert(std::string("model.perceiver_resampler.blocks.") + layer + ".0." + norm + part);
    }
  CHECK(names == expected);
  CHECK(all_names.ignores("model.vision_model.post_layernorm.weight"));
  CHECK(all_names.ignores("model.layers.3.self_attn.rotary_emb.inv_freq"));
  CHECK_FALSE(all_names.ignores("model.norm.weight"));
  CHECK_FALSE(all_names.ignores("lm_head.weight"));
  Llama tied = config.lm;
  tied.tied = true;
  for (const char* twice : {"lm_head.weight", "lm_head.additional_fc.weight"})
    CHECK(idefics_lm_names(tied).ignores(twice));
}

TEST_CASE("what is written under Idefics' names reads back the same", "[idefics]") {
  const auto vision = drawn<Vision, P>(1);
  const auto connector = drawn<Connect, P>(2);
  const auto lm = drawn<Decoder, P>(3);
  TensorWriter writer(io::DType::f32);
  writer.add<Vision>(vision.views, idefics_vision_names());
  writer.add<Connect>(connector.views, idefics_connector_names());
  writer.add<Decoder>(lm.views, idefics_lm_names(config.lm));
  const auto tensors = writer.tensors();
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "model.safetensors";
  io::write_safetensors(path, tensors);
  const io::Safetensors file(path);
  CHECK(file.at("model.vision_model.embeddings.patch_embedding.weight").shape == std::vector<std::int64_t>{4, 3, 3, 3});
  CHECK(file.at("model.vision_model.embeddings.class_embedding").shape == std::vector<std::int64_t>{4});
  Store<Vision, P> vision_back;
  Store<Connect, P> connector_back;
  Store<Decoder, P> lm_back;
  LoadReport found(path.string());
  load_numbers<Vision>(file, vision_back.views, idefics_vision_names(), &found);
  load_numbers<Connect>(file, connector_back.views, idefics_connector_names(), &found);
  load_numbers<Decoder>(file, lm_back.views, idefics_lm_names(config.lm), &found);
  found.look_for_unexpected(file, all_names);
  found.finish();
  CHECK(vision_back.flat == vision.flat);
  CHECK(connector_back.flat == connector.flat);
  CHECK(lm_back.flat == lm.flat);
}

}  // namespace idefics_names_test
