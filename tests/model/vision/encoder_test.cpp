#include <catch2/catch.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <string>

#include "support/compare.hpp"
#include "support/tensor.hpp"

using namespace flamingo;
using test::Tensor;

namespace {

/// A host's own encoder: the mean colour of each picture.
struct MeanColour {
  int dim = 3;
};
template <MeanColour C, Platform P>
struct MeanColourEncoder {
  static constexpr int D = C.dim;
  template <class S>
  struct Parameters {};
  static constexpr void each(auto&, auto&...) {}
  static constexpr Grid features(const Grid&) { return {0, 1, 1}; }
  template <Need need, class W>
  static void forward(Context<P>&, const W&, const Rows<P, 3, const typename P::Real>&, std::span<const Grid>,
                      const Rows<P, D>&) {}
};

// The vision part of the reference's tiny CLIP, its features as OpenFlamingo and as Idefics take them.
constexpr Vit tiny{.image = 28, .patch = 7, .dim = 32, .layers = 3, .heads = 4, .hidden = 48};
constexpr Vit tiny_with_class = [] {
  Vit c = tiny;
  c.class_out = true;
  return c;
}();

/// Our name of a parameter -> transformers'.
std::string clip_name(std::string name) {
  static const std::vector<std::pair<std::string, std::string>> parts{{"pre_norm", "pre_layrnorm"},
                                                                      {"blocks.", "encoder.layers."},
                                                                      {"norm_dense", "layer_norm2"},
                                                                      {".norm.", ".layer_norm1."},
                                                                      {"attention", "self_attn"},
                                                                      {"query", "q_proj.weight"},
                                                                      {"key", "k_proj.weight"},
                                                                      {"value", "v_proj.weight"},
                                                                      {"self_attn.out", "self_attn.out_proj.weight"},
                                                                      {"dense.up", "mlp.fc1.weight"},
                                                                      {"dense.down", "mlp.fc2.weight"},
                                                                      {".weight_bias", ".bias"},
                                                                      {"scale", "weight"}};
  if (name == "patch") return "vision_model.embeddings.patch_embedding.weight";
  if (name == "class_token") return "vision_model.embeddings.class_embedding";
  if (name == "positions") return "vision_model.embeddings.position_embedding.weight";
  for (const auto& [ours, theirs] : parts)
    if (const auto at = name.find(ours); at != std::string::npos) name.replace(at, ours.size(), theirs);
  return "vision_model." + name;
}

template <Vit C>
void check_golden(const std::string& output) {
  using P = Cpu<float>;
  using Net = Encoder<C, P>;
  const io::Safetensors file{std::string(FLAMINGO_TEST_DATA) + "/goldens/clip_vision.safetensors"};
  const auto numbers = [&](const std::string& name) {
    std::vector<float> all(static_cast<std::size_t>(file.at(name).count()));
    io::convert(file.at(name), std::span(all));
    return all;
  };
  /// (outer, 3, inner) -> (outer, inner, 3)
  const auto channels_last = [](const std::vector<float>& from, int inner) {
    std::vector<float> to(from.size());
    const auto cells = static_cast<std::size_t>(inner);
    for (std::size_t i = 0; i < from.size(); ++i)
      to[i] = from[i / (3 * cells) * 3 * cells + i % 3 * cells + i / 3 % cells];
    return to;
  };
  Store<Net, P> w;
  const auto read = [&](const Spec& spec, auto& leaf) {
    auto all = numbers(clip_name(std::string(std::string_view(spec.name))));
    if (std::string_view(spec.name) == "patch") all = channels_last(all, C.patch * C.patch);
    REQUIRE(all.size() == spec.size());
    std::copy(all.begin(), all.end(), leaf.data);
  };
  Net::each(read, w.views);

  const int pixels = C.image * C.image;
  const auto x = channels_last(numbers("in.pixel_values"), pixels);
  std::vector<Grid> grids;
  for (int m = 0; m < 4; ++m) grids.push_back({m * pixels, C.image, C.image});
  Context<P> ctx(2);
  Tensor<float> y(4 * Net::features(grids[0]).rows(), C.dim);
  Net::forward(ctx, w.views, Rows<P, 3, const float>{x.data(), 4 * pixels, {}}, grids, y.template rows_on<P, C.dim>());
  const auto expected = numbers(output);
  REQUIRE(expected.size() == y.size());
  CHECK(test::distance(y.data(), expected.data(), y.size()).relative <= 1e-5);  // "agrees" of an output in float
}

}  // namespace

template <MeanColour C, Platform P>
struct flamingo::EncoderOf<C, P> {
  using type = MeanColourEncoder<C, P>;
};

TEST_CASE("a vision config's type picks its encoder, a host's too", "[encoder]") {
  using P = Cpu<float>;
  constexpr EfficientNetLite lite0{};
  constexpr MeanColour mine{};
  CHECK((std::same_as<Encoder<tiny, P>, model::VisionTransformer<tiny, P>>));
  CHECK((std::same_as<Encoder<lite0, P>, model::EfficientNet<lite0, P>>));
  CHECK((std::same_as<Encoder<mine, P>, MeanColourEncoder<mine, P>>));
  CHECK(VisionEncoder<Encoder<tiny, P>, P>);
  CHECK(VisionEncoder<Encoder<lite0, P>, P>);
  CHECK(VisionEncoder<Encoder<mine, P>, P>);
}

TEST_CASE("a vision transformer agrees with transformers' CLIP", "[encoder]") {
  check_golden<tiny>("out.openflamingo_tokens");
  check_golden<tiny_with_class>("out.vision_last_hidden_state");
}
