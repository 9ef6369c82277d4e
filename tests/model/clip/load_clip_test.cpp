#include <flamingo/model/clip/load_clip.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "io/files.hpp"
#include "support/golden.hpp"

namespace load_clip_test {

using namespace flamingo;
using flamingo::tests::error_of;

namespace {

using P = Cpu<float>;
constexpr ClipConfig golden{
    .vision =
        {.image = 30, .patch = 10, .dim = 20, .layers = 2, .heads = 2, .hidden = 32, .activation = Activation::gelu},
    .text = {.context = 10,
             .vocabulary = 60,
             .dim = 20,
             .layers = 2,
             .heads = 2,
             .hidden = 28,
             .activation = Activation::gelu,
             .pooling = TextPooling::first_end,
             .end = 57},
    .projection = 12};
constexpr ClipConfig other = [] {
  ClipConfig c = golden;
  c.text.pooling = TextPooling::highest_id;
  c.vision.heads = 4;
  return c;
}();

}  // namespace

TEST_CASE("a dual encoder is opened as its folder has it", "[clip]") {
  const auto folder = test::golden_path("clip_model_gelu");
  const auto w = load_clip<golden, P>(folder);
  const io::Safetensors file(folder / "model.safetensors");
  const auto scale = test::numbers<float>(file.at("logit_scale"));
  CHECK(w.views.log_scale.data[0] == scale[0]);
  const auto end = test::numbers<float>(file.at("text_model.embeddings.position_embedding.weight"));
  CHECK(w.views.text.positions.row(9)[19] == end.back());
  CHECK(w.views.vision.blocks[1].attention.key.format == Format::f32);
  CHECK(load_clip<golden, P>(folder, Held::as_bf16).views.text.embedding.format == Format::bf16);
}

TEST_CASE("a folder that contradicts the compiled dual encoder is refused field by field", "[clip]") {
  const auto folder = test::golden_path("clip_model_gelu");
  const std::string error = error_of([&] { load_clip<other, P>(folder); });
  CHECK(error == "[load] " + folder.string() +
                     " contradicts the compiled config:\n  vision.heads: compiled 4, the checkpoint has 2\n"
                     "  text.pooling: compiled flamingo::TextPooling::highest_id, the checkpoint has "
                     "flamingo::TextPooling::first_end\n  text.end: compiled 49407, the checkpoint has 57");
  CHECK_THAT(error_of([&] { load_clip<golden, P>(test::golden_path("lm_llama")); }),
             Catch::Contains("holds a flamingo::Llama, the compiled config is a flamingo::ClipConfig"));
}

}  // namespace load_clip_test
