#include <catch2/catch.hpp>

#include <cstdint>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/io/torch_file.hpp>

#include "support/golden.hpp"
#include "torch_writer.hpp"

namespace torch_file_test {

using namespace flamingo::io;
using namespace flamingo::tests;
namespace pkl = flamingo::tests::pickle;

namespace {

std::string floats(std::size_t count, float first = 0) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return {reinterpret_cast<const char*>(values.data()), 4 * count};
}
std::vector<float> values(const TensorView& tensor) {
  std::vector<float> all(static_cast<std::size_t>(tensor.count()));
  convert(tensor, std::span<float>(all));
  return all;
}
std::string row(std::string_view key = "0", std::int64_t count = 6) { return pkl::storage("FloatStorage", key, count); }

}  // namespace

TEST_CASE("tensors of a state dict are read in place", "[io][torch_file]") {
  const TemporaryFolder folder;
  for (const bool zip64 : {false, true}) {
    const std::string root = pkl::dict({{"a", pkl::tensor(row(), 0, {2, 3}, {3, 1})},
                                        {"b", pkl::tensor(row(), 2, {3}, {1})},
                                        {"scalar", pkl::tensor(row(), 5, {}, {})},
                                        {"none", pkl::tensor(row(), 0, {0, 7}, {7, 1})},
                                        {"ids", pkl::tensor(pkl::storage("LongStorage", "1", 1), 0, {1}, {1})},
                                        {"half", pkl::tensor(pkl::storage("BFloat16Storage", "2", 1), 0, {1}, {1})},
                                        {"step", pkl::integer(7)}});
    TorchFile opened(
        folder.write("a", torch_file_of(root, {floats(6), bytes_of(std::int64_t{-7}), bytes_of(std::uint16_t{0x3fc0})},
                                        {.zip64 = zip64})));
    const TorchFile file(std::move(opened));
    REQUIRE(file.tensors().size() == 6);
    CHECK(file.tensors()[0].name == "a");
    CHECK(file.at("a").shape == std::vector<std::int64_t>{2, 3});
    CHECK(values(file.at("a")) == std::vector<float>{0, 1, 2, 3, 4, 5});
    CHECK(values(file.at("b")) == std::vector<float>{2, 3, 4});
    CHECK(file.at("b").bytes.data() == file.at("a").bytes.data() + 8);
    CHECK(values(file.at("scalar")) == std::vector<float>{5});
    CHECK(file.at("none").bytes.empty());
    CHECK(file.at("ids").dtype == DType::i64);
    CHECK(values(file.at("half")) == std::vector<float>{1.5f});
    CHECK(file.find("step") == nullptr);
    CHECK_THAT(error_of([&] { file.at("hlaf"); }), Catch::Contains("no tensor 'hlaf' among 6; close: 'half'"));
  }
}

TEST_CASE("strides are honoured", "[io][torch_file]") {
  const TemporaryFolder folder;
  const std::string root = pkl::dict({{"transposed", pkl::tensor(row(), 0, {3, 2}, {1, 3})},
                                      {"columns", pkl::tensor(row(), 1, {2, 2}, {3, 1})},
                                      {"every_other", pkl::tensor(row(), 1, {1, 3}, {9223372036854775807, 2})},
                                      {"dense", pkl::tensor(row(), 0, {2, 1, 3}, {3, 1000, 1})}});
  const TorchFile file(folder.write("a", torch_file_of(root, {floats(6)})));
  CHECK(values(file.at("transposed")) == std::vector<float>{0, 3, 1, 4, 2, 5});
  CHECK(values(file.at("columns")) == std::vector<float>{1, 2, 4, 5});
  CHECK(values(file.at("every_other")) == std::vector<float>{1, 3, 5});
  CHECK(values(file.at("dense")) == std::vector<float>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("training checkpoints, ordered dicts and parameters are read", "[io][torch_file]") {
  const TemporaryFolder folder;
  const std::string tensor = pkl::tensor(row(), 0, {6}, {1});
  // OrderedDict() filled by SETITEMS, which then gets attributes as nn.Module.state_dict() leaves them.
  const std::string ordered = "ccollections\nOrderedDict\n)Rq\x01(" + pkl::text("module.w") + tensor +
                              pkl::text("module.p") + "ctorch._utils\n_rebuild_parameter\n(" + tensor + "\x88" + "}tR" +
                              "u}" + pkl::text("_metadata") + "}sb";
  const std::string root = pkl::dict({{"epoch", pkl::integer(3)},
                                      {"rate", "G" + std::string("\x3f\xe0\0\0\0\0\0\0", 8)},
                                      {"optimizer_state_dict", pkl::dict({{"state", tensor},
                                                                          {"groups",
                                                                           "](NN\x88\x89"
                                                                           "e"}})},
                                      {"model_state_dict", ordered}});
  const TorchFile file(folder.write("a", torch_file_of(root, {floats(6)})));
  REQUIRE(file.tensors().size() == 2);
  CHECK(file.tensors()[0].name == "w");
  CHECK(values(file.at("p")) == std::vector<float>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("what open_flamingo saved is read as its own program sees it", "[io][torch_file]") {
  const TorchFile file(flamingo::test::golden_path("openflamingo_mpt_checkpoint.pt"));
  CHECK(file.tensors().size() == 49);
  const TensorView& latents = file.at("perceiver.latents");
  CHECK(latents.shape == std::vector<std::int64_t>{6, 24});
  CHECK(file.at("lang_encoder.transformer.blocks.3.gated_cross_attn_layer.attn_gate").count() == 1);
  // The tied output layer is stored twice.
  CHECK(values(file.at("lang_encoder.lm_head.weight")) == values(file.at("lang_encoder.transformer.wte.weight")));
  // FNV-1a over the bytes of the same parameters in openflamingo_mpt.safetensors, in the order of their names.
  std::map<std::string, std::span<const std::byte>> sorted;
  for (const TensorView& tensor : file.tensors()) sorted.emplace(tensor.name, tensor.bytes);
  sorted.erase("lang_encoder.lm_head.weight");
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const auto& [name, bytes] : sorted)
    for (const std::byte byte : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3u;
  CHECK(hash == 0xbeb46628ce735194u);
}

TEST_CASE("pickles that are more than tensors are refused, and nothing runs", "[io][torch_file]") {
  const TemporaryFolder folder;
  const std::string good = pkl::tensor(row(), 0, {6}, {1});
  struct Case {
    std::string root, error;
  };
  const auto of = [](const std::string& value) { return pkl::dict({{"a", value}}); };
  const Case cases[] = {
      {"cos\nsystem\n(" + pkl::text("touch /tmp/x") + "tR",
       "it asks for os.system, which no state dict of tensors needs"},
      {"cbuiltins\neval\n", "it asks for builtins.eval"},
      {"ctorch\nload\n", "it asks for torch.load"},
      {of("ctorch\nFloatStorage\n)R"), "it calls FloatStorage, a type"},
      {"i", "the opcode 105 is none of those that torch.save writes"},
      {"\x80\x04", "its protocol is 4, expected 2"},
      {pkl::integer(7), "the pickle holds an integer, expected a dict of tensors"},
      {"t", "there is no mark on its stack"},
      {"", "its stack is empty"},
      {"h\x05", "it recalls the object 5, which it never kept"},
      {"X\xff\xff\xff\xff", "it ends within an opcode, it is truncated"},
      {"ctorch", "it ends within an opcode, it is truncated"},
      {"\x8a\x09xxxxxxxxx", "an integer has 9 bytes, expected at most 8"},
      {"}(NNNu", "a key of a dict has no value"},
      {")(NNu", "found a sequence, expected a dict"},
      {")R", "its stack is empty"},
      {"N)R", "found None, expected a callable"},
      {"NQ", "found None, expected the tuple of a storage"},
      {"(NtQ", "a persistent object is no ('storage', type, key, device, size)"},
      {of(pkl::tensor(row("7"), 0, {6}, {1})), "there is no storage '7' in the archive"},
      {of(pkl::tensor(row("0", 7), 0, {6}, {1})), "the storage '0' has 24 bytes, but 7 values of f32 take 28"},
      {of(pkl::tensor(row("0", -6), 0, {6}, {1})), "the storage '0' has 24 bytes, but -6 values of f32 take -1"},
      {of(pkl::tensor(pkl::storage("HalfStorage", "0", 6), 0, {6}, {1})), "6 values of f16 take 12"},
      {of(pkl::tensor("N", 0, {6}, {1})), "a tensor is no (storage, offset, shape, strides, ...)"},
      {of(pkl::tensor(row(), 1, {6}, {1})), "leaves its storage of 24 bytes"},
      {of(pkl::tensor(row(), -1, {6}, {1})), "leaves its storage of 24 bytes"},
      {of(pkl::tensor(row(), 0, {2, 3}, {4, 1})), "leaves its storage of 24 bytes"},
      {of(pkl::tensor(row(), 0, {2}, {9223372036854775807})), "leaves its storage of 24 bytes"},
      {of(pkl::tensor(row(), 0, {4611686018427387904, 4}, {0, 0})), "leaves its storage of 24 bytes"},
      {of(pkl::tensor(row(), 0, {1000000}, {0})), "repeats the values of its storage"},
      {of(pkl::tensor(row(), 0, {6}, {-1})), "a shape or stride has an entry that is no integer of at least 0"},
      {of(pkl::tensor(row(), 0, {6}, {1, 1})), "a tensor has the shape (6) and the strides (1, 1)"},
      {of(pkl::tensor(row(), 0, std::vector<std::int64_t>(17, 1), std::vector<std::int64_t>(17, 1))),
       "a tensor has 17 axes, expected at most 16"},
      {pkl::dict({{"a", good}, {"a", good}}), "tensor 'a' occurs twice"},
      {pkl::dict({{"a", good}, {"module.a", good}}), "tensor 'module.a' occurs twice"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.error);
    const auto path = folder.write("bad", torch_file_of(c.root, {floats(6)}));
    CHECK_THAT(error_of([&] { TorchFile{path}; }), Catch::Contains(path.string()) && Catch::Contains(c.error));
  }
  const auto error = [&](const std::vector<ZipMember>& members) {
    return error_of([&] { TorchFile(folder.write("bad", zip_of(members))); });
  };
  CHECK_THAT(error({{"a/version", "3"}}), Catch::Contains("it has 0 members 'NAME/data.pkl', expected one"));
  CHECK_THAT(error({{"a/data.pkl", "N."}, {"b/data.pkl", "N."}}), Catch::Contains("it has 2 members"));
  CHECK_THAT(error({{"a/data.pkl", "N."}, {"a/byteorder", "big"}}), Catch::Contains("its byte order is 'big'"));
  CHECK_THAT(error({{"a/data.pkl", "N"}}), Catch::Contains("it is truncated"));
}

TEST_CASE("modules of TorchScript are their attributes, by their path", "[io][torch_file]") {
  const TemporaryFolder folder;
  const auto module = [](const std::string& type, const std::vector<std::pair<std::string, std::string>>& attributes) {
    return "c__torch__" + type + ")\x81" + pkl::dict(attributes) + "b";
  };
  const std::string tensor = pkl::tensor(row(), 0, {2, 3}, {3, 1});
  const std::string list = "ctorch.jit._pickle\nbuild_intlist\n(](" + pkl::integer(2) + "etR";
  const std::string root = module("\nClip\n", {{"training", "\x88"},
                                               {"hook", "N"},
                                               {"sizes", list},
                                               {"scale", pkl::tensor(row(), 5, {}, {})},
                                               {"visual", module(".clip.visual\nVit\n", {{"proj", tensor}})}});
  std::vector<ZipMember> members{{"m/data.pkl", pkl::whole(root)}, {"m/data/0", floats(6)}};
  members.push_back({.name = "m/code/__torch__.py", .bytes = "deflated", .method = 8});
  const TorchFile file(folder.write("a", zip_of(members)));
  REQUIRE(file.tensors().size() == 2);
  CHECK(values(file.at("scale")) == std::vector<float>{5});
  CHECK(values(file.at("visual.proj")) == std::vector<float>{0, 1, 2, 3, 4, 5});

  members[0].method = 8;
  CHECK_THAT(error_of([&] { TorchFile(folder.write("b", zip_of(members))); }),
             Catch::Contains("'m/data.pkl' is compressed, expected it stored"));
  // A module that holds itself, and one whose attributes are its own.
  const std::string self = "c__torch__\nM\n)\x81q\1}(" + pkl::text("m") + "h\1ub";
  CHECK_THAT(error_of([&] { TorchFile(folder.write("c", torch_file_of(self, {}))); }),
             Catch::Contains("its modules nest without end"));
  CHECK_THAT(error_of([&] { TorchFile(folder.write("d", torch_file_of("c__torch__\nM\n)\x81q\1h\1b", {}))); }),
             Catch::Contains("the attributes of a module are no dict of their own"));
  CHECK_THAT(error_of([&] { TorchFile(folder.write("e", torch_file_of("ccollections\nOrderedDict\n)\x81", {}))); }),
             Catch::Contains("it makes an object that is no module"));
}

TEST_CASE("dicts that hold themselves are no trap", "[io][torch_file]") {
  const TemporaryFolder folder;
  const TorchFile file(folder.write("a", torch_file_of("}q\1(" + pkl::text("model_state_dict") + "h\1u", {})));
  CHECK(file.tensors().empty());
}

}  // namespace torch_file_test
