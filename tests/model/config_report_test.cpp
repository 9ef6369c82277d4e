#include <catch2/catch.hpp>

#include <string>

#include <flamingo/model/config_report.hpp>
// Written by flamingo_config() of tests/CMakeLists.txt.
#include <lm_llama_config.hpp>

#include "io/files.hpp"
#include "support/golden.hpp"

namespace config_report_test {

using namespace flamingo;
using namespace flamingo::tests;

// What the build wrote is what transformers' config.json says.
static_assert(lm_llama_config.dim == 32 && lm_llama_config.layers == 3 && lm_llama_config.heads == 4 &&
              lm_llama_config.kv_heads == 2 && lm_llama_config.hidden == 52 && lm_llama_config.vocabulary == 84 &&
              lm_llama_config.epsilon == 1e-6f);

TEST_CASE("the header of a checkpoint declares its config and tells its sizes", "[model][config_report]") {
  const auto folder = flamingo::test::golden_path("lm_llama");
  CHECK_NOTHROW(check_config_of(lm_llama_config, folder));
  const std::string header = config_header(folder, "mine");
  CHECK_THAT(header, Catch::StartsWith("// The config of lm_llama, written by flamingo-config.\n") &&
                         Catch::Contains("#pragma once\n#include <flamingo/config/decoder.hpp>\n") &&
                         Catch::EndsWith("inline constexpr flamingo::Llama mine{.dim = 32, .layers = 3, .heads = 4, "
                                         ".kv_heads = 2, .head_dim = 8, .hidden = 52, .vocabulary = 84, .context = 64, "
                                         ".epsilon = 1e-06f};\n"));
  // The file holds 29,792 numbers; a token keeps 3 layers x 2 x 2 heads of 8 numbers.
  const io::Safetensors file(folder / "model.safetensors");
  std::int64_t numbers = 0;
  for (const io::TensorView& tensor : file.tensors()) numbers += tensor.count();
  CHECK(numbers == 29792);
  CHECK_THAT(header, Catch::Contains(" 29,792\n") && Catch::Contains(" 116 KiB\n") && Catch::Contains(" 384 B\n"));
}

TEST_CASE("a dual encoder is told tower by tower", "[model][config_report]") {
  const auto folder = flamingo::test::golden_path("clip_model_gelu");
  const std::string header = config_header(folder, "mine");
  CHECK_THAT(header, Catch::Contains("#pragma once\n#include <flamingo/config/clip.hpp>\n\ninline constexpr "
                                     "flamingo::ClipConfig mine{.vision = {.image = 30, .patch = 10, ") &&
                         Catch::Contains("vision tower") && Catch::Contains("text tower"));
  const io::Safetensors file(folder / "model.safetensors");
  std::int64_t numbers = 0;
  for (const io::TensorView& tensor : file.tensors()) numbers += tensor.count();
  CHECK(parameter_count_of(std::get<ClipConfig>(read_config(folder))) == numbers);
  CHECK_THAT(header, Catch::Contains(" " + detail::grouped(numbers) + "\n"));
}

TEST_CASE("a whole model is told part by part", "[model][config_report]") {
  const TemporaryFolder folder;
  folder.write("config.json", R"({"model_type":"idefics","cross_layer_interval":4,"additional_vocab_size":2,)"
                              R"("qk_layer_norms":true,"use_resampler":true,"vision_config":{"embed_dim":1280},)"
                              R"("perceiver_config":{"qk_layer_norms_perceiver":true}})");
  const std::string header = config_header(folder.path());
  // Idefics-9B: 32 layers of LLaMA-7B and 8 gated blocks.
  CHECK_THAT(header, Catch::Contains("8 gated blocks") && Catch::Contains("each picture") &&
                         Catch::Contains("inline constexpr flamingo::FlamingoConfig<flamingo::Vit, flamingo::Llama> "
                                         "checkpoint{\n    .vision = {.dim = 1280, "));
  // 8.93 billion, the vision tower's last norm left out.
  CHECK_THAT(header, Catch::Contains("8,929,6"));
  CHECK_THAT(field_report(folder.path()),
             Catch::Contains("* cross_layer_interval = 4\n") && Catch::Contains("  vision_config.patch_size = 14\n"));
}

TEST_CASE("the program refuses what it cannot read", "[model][config_report]") {
  const TemporaryFolder folder;
  CHECK_THAT(error_of([&] { config_header(folder.path(), "2x"); }), Catch::Contains("'2x' is no name of a constant"));
  CHECK_THAT(error_of([&] { config_header(folder.path(), "a;b"); }), Catch::Contains("'a;b' is no name"));
  folder.write("config.json", R"({"model_type":"mpt"})");
  const std::string path = folder.path().string(), output = path + "/out.hpp";
  CHECK(flamingo_config({path, "--name", "mine", "--output", output}) == 0);
  CHECK(read_bytes(output) == config_header(folder.path(), "mine"));
  CHECK(flamingo_config({path, path}) == 1);
  CHECK(flamingo_config({"--name"}) == 1);
  CHECK(flamingo_config({}) == 1);
  CHECK(flamingo_config({path, "--preset", "flamingo_3b"}) == 1);
  CHECK(flamingo_config({"--preset", "flamingo_4b"}) == 1);
}

TEST_CASE("presets are told by their names, as a program may include them", "[model][config_report]") {
  const std::string header = preset_header(
      "flamingo_9b", "mine", [](std::string_view preset) { return "// A plan for " + std::string(preset) + "\n"; });
  CHECK_THAT(header, Catch::StartsWith("// The config of flamingo_9b, written by flamingo-config.\n") &&
                         Catch::Contains(" 435,286,116\n") &&
                         Catch::Contains("// A plan for flamingo_9b\n#pragma once") &&
                         Catch::Contains("inline constexpr flamingo::FlamingoConfig<flamingo::NfNet, "
                                         "flamingo::Chinchilla> mine{\n    .vision = {}"));
  CHECK_THAT(
      error_of([] { preset_header("flamingo_4b", "mine"); }),
      Catch::Contains("there is no preset 'flamingo_4b'; there are flamingo_3b, flamingo_9b, flamingo_80b, open_"));
  const TemporaryFolder folder;
  const std::string output = (folder.path() / "preset.hpp").string();
  CHECK(flamingo_config({"--preset", "nfnet_f6", "--output", output}) == 0);
  CHECK(read_bytes(output) == preset_header("nfnet_f6", "nfnet_f6"));
}

}  // namespace config_report_test
