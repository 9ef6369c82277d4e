#include <catch2/catch.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/clip/clip_names.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/model/weights.hpp>
#include <string>

#include "check/pictures.hpp"
#include "check/report.hpp"
#include "support/tensor.hpp"

namespace encoder_test {

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
constexpr Vit tiny{
    .image = 30, .patch = 10, .dim = 20, .layers = 2, .heads = 2, .hidden = 32, .activation = Activation::gelu};
constexpr Vit tiny_with_class = [] {
  Vit c = tiny;
  c.class_out = true;
  return c;
}();

template <Vit C>
void check_golden(const std::string& output) {
  using P = Cpu<float>;
  using Net = Encoder<C, P>;
  const io::Safetensors file(test::golden_path("clip_model_gelu_io.safetensors")),
      weights(test::golden_path("clip_model_gelu/model.safetensors"));
  Store<Net, P> w;
  load_numbers<Net>(weights, w.views, hugging_face_vit_names().within("", "vision_model."));
  const test::GoldenPictures<float> pictures(file.at("in.pixel_values"));
  Context<P> ctx(2);
  Tensor<float> y(static_cast<int>(pictures.grids.size()) * Net::features(pictures.grids[0]).rows(), C.dim);
  Net::forward(ctx, w.views, pictures.rows<P>(), pictures.grids, y.template rows_on<P, C.dim>());
  test::Report report(file);
  report.output(output, y, test::numbers<float>(file.at(output)));
  CHECK(report.outputs <= report.output_bound());
}

}  // namespace
}  // namespace encoder_test

template <encoder_test::MeanColour C, flamingo::Platform P>
struct flamingo::EncoderOf<C, P> {
  using type = encoder_test::MeanColourEncoder<C, P>;
};

namespace encoder_test {

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

}  // namespace encoder_test
