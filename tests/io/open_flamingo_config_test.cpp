#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

#include <flamingo/io/open_flamingo_config.hpp>

#include "torch_writer.hpp"

namespace open_flamingo_config_test {

using namespace flamingo::io;
using namespace flamingo::tests;
namespace pkl = flamingo::tests::pickle;

namespace {

/// A checkpoint.pt of bf16 zeros of these shapes.
std::string checkpoint_of(const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& tensors) {
  std::vector<std::pair<std::string, std::string>> items;
  std::vector<std::string> storages;
  for (const auto& [name, shape] : tensors) {
    const std::int64_t count = byte_size(DType::bf16, shape) / 2;
    std::vector<std::int64_t> strides(shape.size(), 1);
    for (std::size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
    items.emplace_back(
        name, pkl::tensor(pkl::storage("BFloat16Storage", std::to_string(storages.size()), count), 0, shape, strides));
    storages.emplace_back(static_cast<std::size_t>(2 * count), '\0');
  }
  return torch_file_of(pkl::dict(items), storages);
}

struct Folder : TemporaryFolder {
  Folder() {
    std::filesystem::create_directories(path() / "lm");
    write("lm/config.json", R"({"model_type":"mpt","d_model":32,"n_heads":4,"n_layers":4})");
    write("lm/model.safetensors", bytes_of(std::uint64_t{2}) + "{}");
    write("checkpoint.pt",
          checkpoint_of({{"lang_encoder.transformer.wte.weight", {99, 32}},
                         {"lang_encoder.transformer.blocks.3.gated_cross_attn_layer.attn_gate", {1}},
                         {"lang_encoder.transformer.blocks.1.gated_cross_attn_layer.attn_gate", {1}}}));
  }
};

}  // namespace

TEST_CASE("a folder without open_flamingo.json is told by its tensors and defaults", "[io][open_flamingo_config]") {
  const Folder folder;
  CHECK(is_open_flamingo(folder.path()));
  CHECK_FALSE(is_open_flamingo(folder.path() / "lm"));
  const OpenFlamingoConfig config = read_open_flamingo_config(folder.path());
  CHECK(config.model.cross_attn_every_n_layers == 2);
  CHECK(config.model.vocab_size == 99);
  CHECK(config.model.added_tokens == 3);
  CHECK(config.model.vision.width == 1024);
  CHECK(config.model.perceiver.num_latents == 64);
  CHECK(std::get<HfMpt>(config.lm.model).d_model == 32);
  CHECK(config.fields.front().name == "cross_attn_every_n_layers");
  CHECK(config.fields.front().value == "2");
  CHECK_FALSE(config.fields.front().given);
}

TEST_CASE("open_flamingo.json says what differs", "[io][open_flamingo_config]") {
  const Folder folder;
  folder.write(
      "open_flamingo.json",
      R"({"cross_attn_every_n_layers":4,"vocab_size":50280,"vision":{"width":24,"head_width":8},)"
      R"("perceiver":{"depth":2,"max_num_frames":3},"cross_attention":{"only_attend_immediate_media":false}})");
  const OpenFlamingoFields model = read_open_flamingo_config(folder.path()).model;
  CHECK(model.cross_attn_every_n_layers == 4);
  CHECK(model.vocab_size == 50280);
  CHECK(model.vision.width == 24);
  CHECK(model.vision.patch_size == 14);
  CHECK(model.perceiver.depth == 2);
  CHECK(model.perceiver.max_num_frames == 3);
  CHECK_FALSE(model.cross_attention.only_attend_immediate_media);
}

TEST_CASE("folders that do not tell their model are refused", "[io][open_flamingo_config]") {
  const Folder folder;
  const auto error = [&] { return error_of([&] { read_open_flamingo_config(folder.path()); }); };
  folder.write("open_flamingo.json", R"({"perceiver":{"depth":0}})");
  CHECK_THAT(error(), Catch::Contains("open_flamingo.json: perceiver.depth is 0, expected an integer from 1"));
  folder.write("open_flamingo.json", R"({"added_tokens":99})");
  CHECK_THAT(error(), Catch::Contains("the embedding has 99 rows, expected more than the 99 added tokens"));
  folder.write("open_flamingo.json", "{}");
  folder.write("checkpoint.pt", checkpoint_of({{"perceiver.latents", {2, 3}}}));
  CHECK_THAT(error(), Catch::Contains("no tensor '...gated_cross_attn_layer.attn_gate' tells"));
  for (const std::string block : {"2147483647", "-5", "1x", "99999999999"}) {
    CAPTURE(block);
    folder.write("checkpoint.pt", checkpoint_of({{"lang_encoder.transformer.wte.weight", {99, 32}},
                                                 {"blocks." + block + ".gated_cross_attn_layer.attn_gate", {1}}}));
    CHECK_THAT(error(), Catch::Contains("no tensor '...gated_cross_attn_layer.attn_gate' tells"));
  }
  std::filesystem::remove(folder.path() / "lm/config.json");
  CHECK_THAT(error(), Catch::Contains("lm/config.json: cannot open it"));
}

}  // namespace open_flamingo_config_test
