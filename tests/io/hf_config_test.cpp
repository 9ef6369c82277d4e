#include <catch2/catch.hpp>

#include <string>
#include <variant>
#include <vector>

#include <flamingo/io/hf_config.hpp>

#include "files.hpp"

namespace hf_config_test {

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

HfConfig read(const std::string& text) { return read_hf_config(Json::parse(text), "config.json"); }
template <class Model>
Model as(const std::string& text) {
  return std::get<Model>(read(text).model);
}
const ConfigField& field(const HfConfig& config, const std::string& name) {
  for (const ConfigField& field : config.fields)
    if (field.name == name) return field;
  throw std::runtime_error("no field " + name);
}

}  // namespace

TEST_CASE("families are told by model_type, else by architectures", "[io][hf_config]") {
  CHECK(read(R"({"model_type":"llama"})").family() == "llama");
  CHECK(read(R"({"model_type":"mosaic_gpt","architectures":["MosaicGPT"]})").family() == "mpt");
  CHECK(read(R"({"architectures":["MPTForCausalLM"]})").family() == "mpt");
  CHECK(read(R"({"architectures":["GPTNeoXForCausalLM"]})").family() == "gpt_neox");
  CHECK(read(R"({"architectures":["CLIPModel"]})").family() == "clip");
  CHECK(read(R"({"architectures":["IdeficsForVisionText2Text"]})").family() == "idefics");
  CHECK(read(R"({"architectures":["MllamaForConditionalGeneration"]})").family() == "mllama");
}

TEST_CASE("what config.json leaves out is transformers' default", "[io][hf_config]") {
  const auto idefics = as<HfIdefics>(
      R"({"model_type":"idefics","hidden_size":48,"vision_config":{"embed_dim":32},"perceiver_config":null})");
  CHECK(idefics.hidden_size == 48);
  CHECK(idefics.cross_layer_interval == 1);
  CHECK_FALSE(idefics.use_resampler);
  CHECK(idefics.vision_config.embed_dim == 32);
  CHECK(idefics.vision_config.patch_size == 14);
  CHECK(idefics.vision_config.hidden_act == "gelu");
  CHECK(idefics.perceiver_config.resampler_head_dim == 96);
  CHECK_FALSE(idefics.perceiver_config.qk_layer_norms_perceiver);

  const auto mllama = as<HfMllama>(
      R"({"model_type":"mllama","text_config":{"cross_attention_layers":[1,3],"rope_scaling":{"rope_type":"llama3",)"
      R"("factor":8.0,"original_max_position_embeddings":32}},"vision_config":{"attention_heads":3,"image_size":28}})");
  CHECK(mllama.text_config.cross_attention_layers == std::vector<int>{1, 3});
  CHECK(mllama.text_config.rope_scaling.factor == 8);
  CHECK(mllama.text_config.rope_scaling.high_freq_factor == 4);
  CHECK(mllama.text_config.rope_theta == 500000);
  CHECK(mllama.vision_config.attention_heads == 3);
  CHECK(mllama.vision_config.patch_size == 14);
  CHECK(mllama.vision_config.intermediate_layers_indices == std::vector<int>{3, 7, 15, 23, 30});
  CHECK(mllama.vision_config.supported_aspect_ratios.size() == 8);

  const auto clip = as<HfClip>(R"({"model_type":"clip","vision_config":{"patch_size":7}})");
  CHECK(clip.vision_config.hidden_act == "quick_gelu");
  CHECK(clip.text_config.max_position_embeddings == 77);
  CHECK(as<HfLlama>(R"({"model_type":"llama","num_key_value_heads":null})").num_key_value_heads == 0);
  CHECK(as<HfGptNeox>(R"({"model_type":"gpt_neox","rotary_pct":1.0})").rotary_pct == 1);
}

TEST_CASE("MosaicGPT's names are MPT's", "[io][hf_config]") {
  const auto mpt = as<HfMpt>(R"({"model_type":"mosaic_gpt","attn_qk_ln":true,"alibi_bias_max":4,"mlp_ratio":3})");
  CHECK(mpt.attn_config.qk_ln);
  CHECK(mpt.attn_config.alibi_bias_max == 4);
  CHECK(mpt.expansion_ratio == 3);
  CHECK(as<HfMpt>(R"({"model_type":"mpt","attn_config":{"clip_qkv":1.5}})").attn_config.clip_qkv == 1.5);
}

TEST_CASE("each field tells whether the file states it", "[io][hf_config]") {
  const HfConfig config = read(R"({"model_type":"clip","text_config":{"vocab_size":60}})");
  CHECK(field(config, "text_config.vocab_size").given);
  CHECK(field(config, "text_config.vocab_size").value == "60");
  CHECK_FALSE(field(config, "vision_config.patch_size").given);
  CHECK(field(config, "vision_config.patch_size").value == "32");
  CHECK(field(config, "vision_config.hidden_act").value == "\"quick_gelu\"");
}

TEST_CASE("hostile configs are refused", "[io][hf_config]") {
  const TemporaryFolder folder;
  struct Case {
    std::string text, error;
  };
  const Case cases[] = {
      {"", "found the end of the text"},
      {"[]", "the config is an array, expected an object"},
      {"{}", "neither model_type nor architectures tells the family"},
      {R"({"model_type":"idefics2"})", "the family is 'idefics2', expected llama, mpt"},
      {R"({"model_type":7,"architectures":["LlamaModel","X"]})", "neither model_type"},
      {R"({"model_type":"llama","hidden_size":"64"})",
       "hidden_size is \"64\", expected an integer from 1 to 268435456"},
      {R"({"model_type":"llama","hidden_size":0})", "hidden_size is 0, expected an integer from 1"},
      {R"({"model_type":"llama","hidden_size":-64})", "hidden_size is -64"},
      {R"({"model_type":"llama","hidden_size":1e300})", "hidden_size is 1e+300"},
      {R"({"model_type":"llama","hidden_size":64.5})", "hidden_size is 64.5"},
      {R"({"model_type":"llama","hidden_size":99999999999999999999})", "hidden_size is 1e+20"},
      {R"({"model_type":"llama","rope_theta":[]})", "rope_theta is [], expected a number"},
      {R"({"model_type":"llama","rope_scaling":"llama3"})", "rope_scaling is a string, expected an object"},
      {R"({"model_type":"gpt_neox","use_parallel_residual":1})", "use_parallel_residual is 1, expected true or false"},
      {R"({"model_type":"clip","vision_config":{"hidden_act":3}})", "vision_config.hidden_act is 3, expected a string"},
      {R"({"model_type":"mllama","text_config":{"cross_attention_layers":[1,-1]}})", "cross_attention_layers is -1"},
      {R"({"model_type":"mllama","vision_config":{"supported_aspect_ratios":[[1,2,3]]}})",
       "supported_aspect_ratios is [1,2,3], expected pairs of integers"},
      {R"({"model_type":"mllama","text_config":{"cross_attention_layers":{}}})",
       "expected an array of at most 1024 entries"},
      {R"({"model_type":"llama","model_type":"mpt"})", "the member name 'model_type' again"},
      {"{\"a\":" + std::string(40, '[') + std::string(40, ']') + "}", "nest"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto path = folder.write("config.json", c.text);
    CHECK_THAT(error_of([&] { read_hf_config(folder.path()); }),
               Catch::Contains(path.string()) && Catch::Contains(c.error));
  }
  CHECK_THAT(error_of([&] { read_hf_config(folder.path() / "none"); }), Catch::Contains("none: cannot open it"));
}

}  // namespace hf_config_test
