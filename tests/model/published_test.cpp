#include <catch2/catch.hpp>

#include <string>
#include <variant>

#include <flamingo/model/published.hpp>

#include "io/files.hpp"

namespace published_test {

using namespace flamingo;
using namespace flamingo::tests;

namespace {

PublishedConfig read(const std::string& text) {
  const TemporaryFolder folder;
  folder.write("config.json", text);
  return read_config(folder.path());
}
template <class T>
void same(const PublishedConfig& found, const T& expected) {
  REQUIRE(std::holds_alternative<T>(found));
  const auto all = differences(expected, std::get<T>(found));
  for (const FieldDifference& d : all) UNSCOPED_INFO(d.field << ": " << d.compiled << ", found " << d.found);
  CHECK(all.empty());
}

const std::string idefics =
    R"({"model_type":"idefics","hidden_size":48,"num_attention_heads":4,"num_hidden_layers":3,"intermediate_size":64,)"
    R"("vocab_size":80,"additional_vocab_size":3,"alpha_type":"vector","qk_layer_norms":true,"rms_norm_eps":1e-5,)"
    R"("vision_config":{"embed_dim":32,"image_size":28,"intermediate_size":48,"num_attention_heads":4,"num_hidden_layers":3})";

}  // namespace

TEST_CASE("decoders of config.json", "[model][published]") {
  same(read(R"({"model_type":"llama","hidden_size":32,"num_hidden_layers":3,"num_attention_heads":4,)"
            R"("num_key_value_heads":2,"intermediate_size":52,"vocab_size":84,"rope_theta":500000.0,)"
            R"("rope_scaling":{"rope_type":"llama3","factor":8.0,"original_max_position_embeddings":32}})"),
       Llama{.dim = 32,
             .layers = 3,
             .heads = 4,
             .kv_heads = 2,
             .hidden = 52,
             .vocabulary = 84,
             .rotary_base = 500000,
             .rotary_scaling = {.factor = 8, .context = 32},
             .epsilon = 1e-6f});
  same(read(R"({"model_type":"llama"})"), Llama{.epsilon = 1e-6f});
  same(read(R"({"model_type":"mpt","d_model":48,"n_heads":6,"n_layers":2,"vocab_size":70,"max_seq_len":40,)"
            R"("attn_config":{"clip_qkv":1.5}})"),
       Mpt{.dim = 48, .layers = 2, .heads = 6, .vocabulary = 70, .context = 40, .clamp = 1.5f});
  same(read(R"({"model_type":"mosaic_gpt","attn_qk_ln":true})"),
       Mpt{.dim = 2048, .layers = 24, .heads = 16, .vocabulary = 50368, .qk_norm = true});
  same(read(R"({"model_type":"gpt_neox","hidden_size":40,"num_attention_heads":5,"num_hidden_layers":2,)"
            R"("intermediate_size":60,"vocab_size":66,"rotary_pct":1.0,"use_parallel_residual":false})"),
       GptNeox{
           .dim = 40, .layers = 2, .heads = 5, .hidden = 60, .vocabulary = 66, .rotary_share = 1, .parallel = false});
  // GPT-NeoX-20B's
  same(read(R"({"model_type":"gpt_neox","hidden_act":"gelu_fast"})"),
       GptNeox{.hidden = 24576, .vocabulary = 50432, .activation = Activation::gelu_tanh});
}

TEST_CASE("dual encoders of config.json", "[model][published]") {
  same(read(R"({"model_type":"clip","projection_dim":16,"text_config":{"hidden_size":24,"num_attention_heads":3,)"
            R"("num_hidden_layers":2,"intermediate_size":40,"vocab_size":60,"eos_token_id":2},)"
            R"("vision_config":{"hidden_size":32,"num_attention_heads":4,"hidden_act":"gelu","image_size":28,)"
            R"("patch_size":7,"intermediate_size":48}})"),
       ClipConfig{.vision = {.image = 28,
                             .patch = 7,
                             .dim = 32,
                             .layers = 12,
                             .heads = 4,
                             .hidden = 48,
                             .activation = Activation::gelu},
                  .text = {.vocabulary = 60, .dim = 24, .layers = 2, .heads = 3, .hidden = 40},
                  .projection = 16});
  const auto base = read(R"({"model_type":"clip"})");
  same(base, ClipConfig{.vision = {.patch = 32, .dim = 768, .layers = 12, .heads = 12},
                        .text = {.dim = 512, .heads = 8, .pooling = TextPooling::first_end},
                        .projection = 512});
  CHECK(std::get<ClipConfig>(base).text.end == 49407);
}

TEST_CASE("Idefics of config.json, with and without a Resampler", "[model][published]") {
  const FlamingoConfig<Vit, Llama> expected{
      .vision = {.image = 28,
                 .patch = 14,
                 .dim = 32,
                 .layers = 3,
                 .heads = 4,
                 .hidden = 48,
                 .activation = Activation::gelu,
                 .class_out = true},
      .resampler = {.dim = 32,
                    .latents = 4,
                    .layers = 3,
                    .heads = 2,
                    .head_dim = 12,
                    .qk_norm = QkNorm::heads_layer,
                    .activation = Activation::relu,
                    .frames = 0},
      .xattn = {.every = 1,
                .heads = 4,
                .head_dim = 12,
                .qk_norm = QkNorm::heads_rms,
                .hidden = 64,
                .activation = Activation::silu,
                .gated_dense = true,
                .norm = NormKind::rms,
                .vector_gates = true,
                .end_of_document = 2},
      .lm = {.dim = 48, .layers = 3, .heads = 4, .kv_heads = 4, .hidden = 64, .vocabulary = 80, .added = 3}};
  same(read(idefics + R"(,"use_resampler":true,"perceiver_config":{"qk_layer_norms_perceiver":true,)"
                      R"("resampler_depth":3,"resampler_head_dim":12,"resampler_n_heads":2,"resampler_n_latents":4}})"),
       expected);
  auto without = expected;
  without.resampler = {.dim = 32, .latents = 5, .layers = 0, .frames = 0};
  same(read(idefics + "}"), without);
}

TEST_CASE("Llama 3.2 Vision of config.json", "[model][published]") {
  auto published = presets::llama_3_2_vision_11b;
  same(read(R"({"model_type":"mllama","text_config":{"rope_scaling":{"rope_type":"llama3","factor":8.0,)"
            R"("low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}},)"
            R"("vision_config":{"image_size":560}})"),
       published);
  CHECK(with_masks_of(mllama({}, {}, MllamaMasks::transformers), published).xattn.before_first == NoImage::unmasked);
  same(read(R"({"model_type":"mllama","text_config":{"hidden_size":32,"num_hidden_layers":5,"num_attention_heads":4,)"
            R"("num_key_value_heads":2,"intermediate_size":48,"vocab_size":90,"cross_attention_layers":[4,0,2],)"
            R"("max_position_embeddings":128},"vision_config":{"hidden_size":24,"attention_heads":3,"image_size":28,)"
            R"("intermediate_size":40,"num_hidden_layers":3,"num_global_layers":1,"vision_output_dim":72,)"
            R"("intermediate_layers_indices":[2,0],"max_num_tiles":2,"supported_aspect_ratios":[[1,1],[1,2],[2,1]]}})"),
       mllama({.image = 28,
               .tiles = 2,
               .ratios = 3,
               .dim = 24,
               .layers = 3,
               .global_layers = 1,
               .heads = 3,
               .hidden = 40,
               .intermediate = LayerList::of({2, 0})},
              {.dim = 32,
               .layers = 2,
               .heads = 4,
               .kv_heads = 2,
               .hidden = 48,
               .vocabulary = 90,
               .added = 8,
               .added_output = false,
               .context = 128,
               .rotary_base = 500000},
              MllamaMasks::meant, Places::of({0, 1, 2})));
}

TEST_CASE("OpenFlamingo's fields over a decoder", "[model][published]") {
  io::OpenFlamingoFields fields;
  fields.cross_attn_every_n_layers = 2;
  fields.vocab_size = 99;
  fields.vision = {.image_size = 28, .patch_size = 7, .width = 24, .layers = 3, .head_width = 8, .mlp_ratio = 4};
  fields.perceiver.depth = 2;
  fields.cross_attention = {.dim_head = 8, .heads = 4};
  FlamingoConfig<Vit, Mpt> expected{
      .vision = {.image = 28, .patch = 7, .dim = 24, .layers = 3, .heads = 3},
      .resampler = {.dim = 24, .layers = 2, .heads = 8, .head_dim = 64, .activation = Activation::gelu, .frames = 0},
      .xattn = {.every = 2,
                .offset = 1,
                .heads = 4,
                .head_dim = 8,
                .activation = Activation::gelu,
                .beyond_last = NoImage::uniform},
      .lm = {.dim = 32, .layers = 4, .heads = 4, .vocabulary = 96, .added = 3}};
  const Mpt lm{.dim = 32, .layers = 4, .heads = 4, .vocabulary = 50432};
  CHECK(differences(expected, config_of(fields, lm)).empty());
  fields.cross_attention.only_attend_immediate_media = false;
  expected.xattn.visibility = Visibility::all_earlier;
  expected.xattn.before_first = NoImage::uniform;
  expected.xattn.beyond_last = NoImage::zero;
  CHECK(differences(expected, config_of(fields, lm)).empty());
}

TEST_CASE("what is not computed here is refused by name", "[model][published]") {
  struct Case {
    std::string text, error;
  };
  const Case cases[] = {
      {R"({"model_type":"llama","hidden_act":"gelu"})", "hidden_act is not silu"},
      {R"({"model_type":"llama","attention_bias":true})", "attention_bias or mlp_bias is not false"},
      {R"({"model_type":"llama","hidden_size":33})", "a width of 33 does not divide into 32 heads"},
      {R"({"model_type":"llama","num_key_value_heads":5})", "a width of 32 does not divide into 5 heads"},
      {R"({"model_type":"llama","rope_scaling":{"type":"linear","factor":2.0}})",
       "rope_scaling.rope_type is not default or llama3"},
      {R"({"model_type":"mpt","attn_config":{"alibi":false}})", "attn_config.alibi is not true"},
      {R"({"model_type":"mpt","no_bias":false})", "no_bias is not true"},
      {R"({"model_type":"mpt","expansion_ratio":268435456})", "expansion_ratio times d_model come to 5.49756e+11"},
      {R"({"model_type":"idefics","vision_config":{"image_size":268435456,"patch_size":1}})",
       "the rows of a picture come to 7.20576e+16, expected 1 to 268435456"},
      {R"({"model_type":"mllama","vision_config":{"hidden_size":268435456}})",
       "the widths of vision_config's layers come to 1.61061e+09"},
      {R"({"model_type":"gpt_neox","hidden_act":"mish"})", "hidden_act is 'mish', expected gelu"},
      {R"({"model_type":"idefics","num_hidden_layers":5,"cross_layer_interval":2})",
       "num_hidden_layers 5 is no multiple of cross_layer_interval 2"},
      {R"({"model_type":"idefics","alpha_type":"matrix"})", "alpha_type is not float or vector"},
      {R"({"model_type":"mllama","text_config":{"cross_attention_layers":[3,4]}})",
       "text_config.cross_attention_layers has 3 and 4: two without a layer between are not computed here"},
      {R"({"model_type":"mllama","text_config":{"cross_attention_layers":[40]}})",
       "text_config.cross_attention_layers has 40 of 40 layers"},
      {R"({"model_type":"mllama","text_config":{"cross_attention_layers":[]}})",
       "text_config.cross_attention_layers names 0 of 40 layers, expected some but not all"},
      {R"({"model_type":"mllama","vision_config":{"intermediate_layers_indices":[33]}})",
       "vision_config.intermediate_layers_indices has 33, expected at most 16 numbers from 0 to 32"},
      {R"({"model_type":"mllama","vision_config":{"vision_output_dim":7681}})",
       "vision_config.vision_output_dim is 7681, its layers give 7680"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK_THAT(error_of([&] { read(c.text); }), Catch::Contains(c.error) && Catch::Contains("/flamingo-io-"));
  }
}

TEST_CASE("a compiled config that a folder contradicts is refused", "[model][published]") {
  const TemporaryFolder folder;
  folder.write("config.json", R"({"model_type":"mpt","d_model":48,"n_heads":6,"n_layers":2})");
  CHECK_NOTHROW(check_config_of(Mpt{.dim = 48, .layers = 2, .heads = 6, .vocabulary = 50368}, folder.path()));
  CHECK_THAT(
      error_of([&] { check_config_of(Mpt{.dim = 48, .layers = 3, .heads = 6, .vocabulary = 50368}, folder.path()); }),
      Catch::Contains("contradicts the compiled config:\n  layers: compiled 3, the checkpoint has 2"));
  CHECK_THAT(error_of([&] { check_config_of(Llama{}, folder.path()); }),
             Catch::Contains("holds a flamingo::Mpt, the compiled config is a flamingo::Llama"));
}

}  // namespace published_test
