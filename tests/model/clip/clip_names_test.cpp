#include <flamingo/model/clip/clip_names.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/model/clip/dual_encoder.hpp>
#include <flamingo/model/weights.hpp>

#include "io/files.hpp"
#include "support/layer.hpp"

namespace clip_names_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr ClipConfig c{.vision = {.image = 6, .patch = 2, .dim = 6, .layers = 2, .heads = 3, .hidden = 5},
                       .text = {.context = 5, .vocabulary = 7, .dim = 4, .layers = 1, .heads = 2, .hidden = 3},
                       .projection = 3};
using P = Cpu<float>;
using Net = model::DualEncoder<c, P>;

/// Writes a drawn model, looks at the file, and reads it again.
template <class Look>
void check_round_trip(const TensorTable& names, const Look& look) {
  const auto w = drawn<Net, P>(3);
  TensorWriter writer(io::DType::f32);
  writer.add<Net>(w.views, names);
  const tests::TemporaryFolder folder;
  io::write_safetensors(folder.path() / "clip.safetensors", writer.tensors());
  const io::Safetensors file(folder.path() / "clip.safetensors");
  look(file, w.views);
  Store<Net, P> read;
  LoadReport report("clip");
  load_numbers<Net>(file, read.views, names, &report);
  report.look_for_unexpected(file, names);
  report.finish();
  CHECK(read.flat == w.flat);
}
std::vector<float> numbers_of(const io::Safetensors& file, const char* name) {
  std::vector<float> all(static_cast<std::size_t>(file.at(name).count()));
  io::convert(file.at(name), std::span(all));
  return all;
}

}  // namespace

TEST_CASE("CLIP's tensors have transformers' names and arrangement, there and back", "[clip]") {
  check_round_trip(hugging_face_clip_names(), [](const io::Safetensors& file, const auto& w) {
    using Shape = std::vector<std::int64_t>;
    CHECK(file.at("vision_model.embeddings.patch_embedding.weight").shape == Shape{6, 3, 2, 2});
    CHECK(file.at("vision_model.embeddings.class_embedding").shape == Shape{6});
    CHECK(file.at("visual_projection.weight").shape == Shape{3, 6});
    CHECK(file.at("vision_model.encoder.layers.1.mlp.fc1.weight").shape == Shape{5, 6});
    CHECK(file.at("text_model.encoder.layers.0.self_attn.out_proj.bias").shape == Shape{4});
    CHECK(file.at("text_model.final_layer_norm.weight").shape == Shape{4});
    CHECK(file.find("logit_scale"));
    CHECK(file.tensors().size() == 3 + 2 * 2 + 2 * 16 + 2 + 16 + 2 + 3);
    // Output channel 1, colour 2, line 1, column 0.
    CHECK(numbers_of(file, "vision_model.embeddings.patch_embedding.weight")[1 * 12 + 2 * 4 + 1 * 2 + 0] ==
          w.vision.patch.row(1)[(1 * 2 + 0) * 3 + 2]);
  });
}

TEST_CASE("CLIP's tensors have OpenCLIP's names and arrangement, there and back", "[clip]") {
  check_round_trip(open_clip_names(c), [](const io::Safetensors& file, const auto& w) {
    using Shape = std::vector<std::int64_t>;
    CHECK(file.at("visual.proj").shape == Shape{6, 3});
    CHECK(file.at("text_projection").shape == Shape{4, 3});
    CHECK(file.at("visual.transformer.resblocks.1.attn.in_proj_weight").shape == Shape{18, 6});
    CHECK(file.at("transformer.resblocks.0.attn.in_proj_bias").shape == Shape{12});
    CHECK(file.at("visual.conv1.weight").shape == Shape{6, 3, 2, 2});
    CHECK(file.find("visual.ln_post.weight"));
    CHECK(file.find("ln_final.bias"));
    CHECK(file.tensors().size() == 3 + 2 * 2 + 2 * 12 + 2 + 12 + 2 + 3);
    const auto fused = numbers_of(file, "visual.transformer.resblocks.0.attn.in_proj_weight");
    CHECK(fused[0 * 36 + 8] == w.vision.blocks[0].attention.query.data[8]);
    CHECK(fused[1 * 36 + 8] == w.vision.blocks[0].attention.key.data[8]);
    CHECK(fused[2 * 36 + 8] == w.vision.blocks[0].attention.value.data[8]);
    CHECK(numbers_of(file, "visual.proj")[5 * 3 + 1] == w.vision_projection.row(1)[5]);
  });
}

TEST_CASE("a vision tower alone is read out of a whole model, which has more", "[clip]") {
  using Tower = model::VisionTransformer<c.vision, P>;
  const TensorTable hugging_face = hugging_face_vit_names(), open_clip = open_clip_vit_names(c.vision);
  for (const char* more : {"post_layernorm.weight", "post_layernorm.bias", "embeddings.position_ids"})
    CHECK(hugging_face.ignores(more));
  for (const char* more : {"ln_post.weight", "ln_post.bias", "proj"}) CHECK(open_clip.ignores(more));
  CHECK_FALSE(open_clip.ignores("ln_pre.bias"));
  int named = 0;
  auto name = [&](const Spec& spec) {
    CHECK_FALSE(hugging_face.place(spec).name.empty());
    CHECK_FALSE(open_clip.place(spec).name.empty());
    ++named;
  };
  Tower::each(name);
  CHECK(named == 3 + 2 + 2 * 16);
}

}  // namespace clip_names_test
