#include <catch2/catch.hpp>

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/io/checkpoint.hpp>

#include "torch_writer.hpp"

namespace checkpoint_test {

using namespace flamingo::io;
using namespace flamingo::tests;
namespace pkl = flamingo::tests::pickle;

namespace {

/// A file of f32 tensors of two values each, which are those given.
std::filesystem::path file_of(const std::filesystem::path& path,
                              const std::vector<std::pair<std::string, float>>& tensors,
                              std::int64_t shard_bytes = 1 << 20) {
  std::vector<std::vector<float>> values;
  std::vector<TensorView> views;
  for (const auto& [name, value] : tensors) values.push_back({value, -value});
  for (std::size_t i = 0; i < tensors.size(); ++i)
    views.push_back({tensors[i].first, DType::f32, {2}, std::as_bytes(std::span(values[i]))});
  std::filesystem::create_directories(path.parent_path());
  write_safetensors(path, views, {}, shard_bytes);
  return path;
}
float first(const TensorView& tensor) {
  std::vector<float> values(2);
  convert(tensor, std::span<float>(values));
  return values[0];
}
std::string torch_of(const std::vector<std::pair<std::string, float>>& tensors) {
  std::vector<std::pair<std::string, std::string>> items;
  std::vector<std::string> storages;
  for (const auto& [name, value] : tensors) {
    items.emplace_back(name,
                       pkl::tensor(pkl::storage("FloatStorage", std::to_string(storages.size()), 2), 0, {2}, {1}));
    storages.push_back(bytes_of(value) + bytes_of(-value));
  }
  return torch_file_of(pkl::dict(items), storages);
}

}  // namespace

TEST_CASE("a file, its folder and a sharded set are one list of tensors", "[io][checkpoint]") {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, float>> tensors{{"a", 1.f}, {"b", 2.f}, {"c", 3.f}};
  const auto single = file_of(folder.path() / "single/model.safetensors", tensors);
  file_of(folder.path() / "sharded/model.safetensors", tensors, 16);
  CHECK(std::filesystem::exists(folder.path() / "sharded/model-00002-of-00002.safetensors"));
  std::filesystem::create_directories(folder.path() / "torch");
  folder.write("torch/pytorch_model.bin", torch_of(tensors));
  folder.write("torch/training_args.bin", "not read");
  for (const auto& path : {single, single.parent_path(), folder.path() / "sharded",
                           folder.path() / "sharded/model.safetensors.index.json", folder.path() / "torch"}) {
    CAPTURE(path);
    Checkpoint opened(path);
    const Checkpoint checkpoint(std::move(opened));
    CHECK(checkpoint.path() == path);
    CHECK(checkpoint.tensors().size() == 3);
    CHECK(first(checkpoint.at("b")) == 2.f);
    CHECK(first(checkpoint.at("c")) == 3.f);
    CHECK(checkpoint.find("d") == nullptr);
    CHECK_THAT(error_of([&] { checkpoint.at("dd"); }), Catch::Contains("there is no tensor 'dd' among 3"));
  }
}

TEST_CASE("sources are joined under prefixes, the first one counts", "[io][checkpoint]") {
  const TemporaryFolder folder;
  Checkpoint checkpoint(file_of(folder.path() / "a.safetensors", {{"x.w", 1.f}, {"y", 2.f}}));
  checkpoint.add(file_of(folder.path() / "b.safetensors", {{"w", 3.f}, {"v", 4.f}}), "x.")
      .add(file_of(folder.path() / "c.safetensors", {{"y", 5.f}, {"z", 6.f}}),
           [](std::string_view name) { return name == "z" ? std::string{} : "c." + std::string(name); });
  CHECK(checkpoint.tensors().size() == 4);
  CHECK(first(checkpoint.at("x.w")) == 1.f);
  CHECK(first(checkpoint.at("x.v")) == 4.f);
  CHECK(first(checkpoint.at("c.y")) == 5.f);
  CHECK(checkpoint.shadowed() == 1);
}

TEST_CASE("an OpenFlamingo folder reads as its whole model", "[io][checkpoint]") {
  const TemporaryFolder folder;
  folder.write("checkpoint.pt",
               torch_of({{"perceiver.latents", 1.f},
                         {"lang_encoder.transformer.wte.weight", 2.f},
                         {"lang_encoder.gated_cross_attn_layers.0.attn_gate", 3.f},
                         {"lang_encoder.old_decoder_blocks.0.norm_1.weight", 3.f},
                         {"lang_encoder.transformer.blocks.0.gated_cross_attn_layer.attn_gate", 3.f}}));
  file_of(folder.path() / "lm/model.safetensors", {{"transformer.wte.weight", 4.f},
                                                   {"transformer.blocks.0.norm_1.weight", 5.f},
                                                   {"transformer.norm_f.weight", 6.f}});
  file_of(folder.path() / "vision.safetensors", {{"visual.conv1.weight", 7.f}, {"text_projection", 8.f}});
  const Checkpoint whole = open_checkpoint(folder.path());
  CHECK(whole.tensors().size() == 6);
  CHECK(whole.shadowed() == 1);
  CHECK(first(whole.at("lang_encoder.transformer.wte.weight")) == 2.f);
  CHECK(first(whole.at("lang_encoder.transformer.blocks.0.decoder_layer.norm_1.weight")) == 5.f);
  CHECK(first(whole.at("lang_encoder.transformer.norm_f.weight")) == 6.f);
  CHECK(first(whole.at("vision_encoder.conv1.weight")) == 7.f);
  // The vision tower alone has no prefix; a NeoX has other names for its blocks.
  std::filesystem::remove(folder.path() / "vision.safetensors");
  file_of(folder.path() / "vision.safetensors", {{"conv1.weight", 7.f}});
  file_of(folder.path() / "lm/model.safetensors",
          {{"gpt_neox.layers.11.attention.dense.weight", 5.f}, {"embed_out.weight", 1.f}});
  const Checkpoint other = open_checkpoint(folder.path());
  CHECK(first(other.at("vision_encoder.conv1.weight")) == 7.f);
  CHECK(first(other.at("lang_encoder.gpt_neox.layers.11.decoder_layer.attention.dense.weight")) == 5.f);
  CHECK(first(other.at("lang_encoder.embed_out.weight")) == 1.f);
}

TEST_CASE("folders that leave open what is meant are refused", "[io][checkpoint]") {
  const TemporaryFolder folder;
  const auto error = [&] { return error_of([&] { Checkpoint{folder.path()}; }); };
  CHECK_THAT(error(), Catch::Contains("the folder has 0 files of tensors, expected one"));
  folder.write("b.pt", torch_of({{"a", 1.f}}));
  CHECK(error().empty());
  file_of(folder.path() / "a.safetensors", {{"a", 1.f}});
  CHECK_THAT(error(), Catch::Contains("the folder has 2 files of tensors (a.safetensors, b.pt), expected one"));
  CHECK_THAT(error_of([&] { Checkpoint{folder.path() / "none.safetensors"}; }), Catch::Contains("No such file"));
}

TEST_CASE("hostile and damaged indices are refused", "[io][checkpoint]") {
  const TemporaryFolder folder;
  file_of(folder.path() / "1.safetensors", {{"a", 1.f}, {"b", 2.f}});
  file_of(folder.path() / "2.safetensors", {{"b", 3.f}});
  file_of(folder.path() / "3.safetensors", {{"c", 3.f}});
  folder.write("4.safetensors", read_bytes(folder.path() / "3.safetensors").substr(0, 70));
  struct Case {
    std::string index, error;
  };
  const auto map = [](const std::string& members) { return "{\"weight_map\":{" + members + "}}"; };
  const std::string one = R"("a":"1.safetensors","b":"1.safetensors")";
  const Case cases[] = {
      {"[]", "got an array, expected an object"},
      {"{}", "it has no object 'weight_map'"},
      {R"({"weight_map":["a"]})", "it has no object 'weight_map'"},
      {map("\"a\":1"), "tensor 'a' has an integer for a file, expected a string"},
      {map(R"("a":"../1.safetensors")"), "tensor 'a' lies in '../1.safetensors', expected the plain name"},
      {map(R"("a":"/etc/passwd")"), "expected the plain name of a file beside the index"},
      {map(R"("a":"..")"), "expected the plain name"},
      {map(R"("a":"")"), "expected the plain name"},
      {map(R"("a":"5.safetensors","b":"5.safetensors")"),
       "the shard '5.safetensors' is missing, with 2 tensors, first 'a'"},
      {map(one + R"(,"c":"1.safetensors")"), "the shard '1.safetensors' has no tensor 'c'"},
      {map(R"("a":"1.safetensors","b":"2.safetensors")"),
       "tensor 'b' lies in two shards, '1.safetensors' and '2.safetensors'"},
      {map(R"("a":"1.safetensors")"), "the shard '1.safetensors' has a tensor 'b' that the index does not name"},
      {map(one + R"(,"c":"4.safetensors")"), "4.safetensors: tensor 'c': its data_offsets are [0, 8]"},
      {map(one + "," + one), "the member name 'a' again"},
      {std::string(100, '[') + std::string(100, ']'), "nest"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.index);
    const auto path = folder.write("x.safetensors.index.json", c.index);
    CHECK_THAT(error_of([&] { Checkpoint{path}; }), Catch::Contains(c.error));
  }
  // What writers count differs: tied tensors once or twice, a boolean as an eighth of a byte.
  for (const std::string size : {"24", "15.875", "\"24\""}) {
    const auto path =
        folder.write("x.safetensors.index.json", R"({"metadata":{"total_size":)" + size + R"(},"weight_map":{)" + one +
                                                     R"(,"c":"3.safetensors"}})");
    CHECK(Checkpoint(path).tensors().size() == 3);
  }
}

}  // namespace checkpoint_test
