#include <flamingo/model/connector_file.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "io/files.hpp"
#include "support/layer.hpp"

namespace connector_file_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::error_of;
using flamingo::tests::TemporaryFolder;

namespace {

using P = Cpu<float>;

constexpr FlamingoConfig<Vit, Llama> config{
    .vision = {.image = 8, .patch = 4, .dim = 6, .layers = 1, .heads = 2},
    .resampler = {.dim = 6, .latents = 3, .layers = 1, .heads = 2, .head_dim = 4, .frames = 0},
    .xattn = {.every = 2, .heads = 2, .head_dim = 4},
    .lm = {.dim = 8, .layers = 2, .heads = 2, .kv_heads = 2, .hidden = 12, .vocabulary = 11}};
constexpr auto other = [] {
  auto c = config;
  c.xattn.visibility = Visibility::all_earlier;
  return c;
}();
using Connect = model::Connector<config, P>;

}  // namespace

TEST_CASE("a connector's weights are rounded once and read back", "[connector_file]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "connector.safetensors";
  auto weights = drawn<Connect, P>(61);
  Store<Connect, P> read;
  save_connector<config, P>(path, weights.views, io::DType::f32, {{"licence", "CC0"}});
  CHECK(io::Safetensors(path).metadata().size() == 3);
  load_connector<config, P>(path, read.views);
  CHECK(read.flat == weights.flat);
  save_connector<config, P>(path, weights.views, io::DType::bf16);
  load_connector<config, P>(path, read.views);
  for (float& w : weights.flat) w = static_cast<float>(bfloat16(w));
  CHECK(read.flat == weights.flat);
  CHECK(error_of([&] { save_connector<config, P>(path, weights.views, io::DType::i8); }) ==
        "[save] dtype is i8, expected f32, f64, f16 or bf16");
}

TEST_CASE("which pictures a token sees lies in the file: another rule is refused", "[connector_file]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "connector.safetensors";
  auto weights = drawn<Connect, P>(62);
  save_connector<config, P>(path, weights.views, io::DType::f32);
  Store<Connect, P> read;
  CHECK(error_of([&] { load_connector<other, P>(path, read.views); }) ==
        "[load] " + path.string() + ": its xattn is " + field_text(config.xattn) + ", compiled is " +
            field_text(other.xattn));
  CHECK(field_text(other.xattn).find("all_earlier") != std::string::npos);
  TensorWriter plain(io::DType::f32);
  plain.add<Connect>(weights.views);
  plain.save(path);  // a file that says nothing
  load_connector<other, P>(path, read.views);
  CHECK(read.flat == weights.flat);
}

}  // namespace connector_file_test
