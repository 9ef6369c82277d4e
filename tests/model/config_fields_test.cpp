#include <catch2/catch.hpp>

#include <string>
#include <utility>

#include <flamingo/model/config_fields.hpp>

namespace config_fields_test {

using namespace flamingo;

namespace {

/// Stands for a value of any type where an aggregate is made.
struct Anything {
  template <class T>
  operator T() const;
};
template <class T, std::size_t... I>
constexpr bool made_of(std::index_sequence<I...>) {
  return requires { T{(static_cast<void>(I), Anything{})...}; };
}
/// The members of an aggregate.
template <class T, std::size_t N = 1>
constexpr std::size_t members() {
  if constexpr (!made_of<T>(std::make_index_sequence<N + 1>{}))
    return N;
  else
    return members<T, N + 1>();
}
template <class T>
std::size_t listed() {
  std::size_t n = 0;
  each_field(T{}, [&](std::string_view, const auto&) { ++n; });
  return n;
}

constexpr FlamingoConfig<Vit, Mpt> model{
    .vision = {.image = 28, .patch = 7, .dim = 24, .activation = Activation::gelu},
    .resampler = {.dim = 24, .frames = 0, .epsilon = 1e-6f},
    .xattn = {.every = 2, .places = Places::of({1, 3}), .visibility = Visibility::all_earlier},
    .lm = {.dim = 32, .alibi = 6, .qk_norm = true}};

}  // namespace

TEST_CASE("no field of a config is left out", "[model][config_fields]") {
  CHECK(listed<Llama>() == members<Llama>());
  CHECK(listed<RotaryScaling>() == members<RotaryScaling>());
  CHECK(listed<Mpt>() == members<Mpt>());
  CHECK(listed<GptNeox>() == members<GptNeox>());
  CHECK(listed<Chinchilla>() == members<Chinchilla>());
  CHECK(listed<Vit>() == members<Vit>());
  CHECK(listed<ClipText>() == members<ClipText>());
  CHECK(listed<ClipConfig>() == members<ClipConfig>());
  CHECK(listed<BertText>() == members<BertText>());
  CHECK(listed<ContrastiveConfig<Vit>>() == members<ContrastiveConfig<Vit>>());
  CHECK(listed<MllamaVision>() == members<MllamaVision>());
  CHECK(listed<NfNet>() == members<NfNet>());
  CHECK(listed<ResamplerConfig>() == members<ResamplerConfig>());
  CHECK(listed<XattnConfig>() == members<XattnConfig>());
  CHECK(listed<FlamingoConfig<Vit, Llama>>() == members<FlamingoConfig<Vit, Llama>>());
}

TEST_CASE("a config is written as C++ reads it", "[model][config_fields]") {
  CHECK(field_text(Llama{}) == "{}");
  CHECK(config_type(model) == "flamingo::FlamingoConfig<flamingo::Vit, flamingo::Mpt>");
  const std::string text = field_text(model);
  CHECK(
      text ==
      "{.vision = {.image = 28, .patch = 7, .dim = 24, .activation = flamingo::Activation::gelu}, "
      ".resampler = {.dim = 24, .frames = 0, .epsilon = 1e-06f}, "
      ".xattn = {.every = 2, .places = flamingo::Places::of({1, 3}), .visibility = flamingo::Visibility::all_earlier}, "
      ".lm = {.dim = 32, .alibi = 6.f, .qk_norm = true}}");
  CHECK(field_text(Llama{.rotary_base = 500000, .rotary_scaling = {.factor = 8, .context = 32}}) ==
        "{.rotary_base = 500000, .rotary_scaling = {.factor = 8.f, .context = 32}}");
  CHECK(field_text(MllamaVision{.tiles = 2, .intermediate = LayerList::of({4, 1})}) ==
        "{.tiles = 2, .intermediate = flamingo::LayerList::of({4, 1})}");
}

TEST_CASE("what a model without a Resampler does not ask makes no difference, nor what no file says",
          "[model][config_fields]") {
  FlamingoConfig<Vit, Llama> a, b;
  a.resampler.heads = 3;
  a.resampler.frames = 0;
  CHECK(differences(a, b).size() == 2);
  a.resampler.layers = b.resampler.layers = 0;
  CHECK(differences(a, b).empty());
  b.resampler.latents = 10;
  CHECK(differences(a, b).size() == 1);
  b.resampler.latents = a.resampler.latents;
  b.vision.other_sizes = OtherSizes::bicubic;
  CHECK(differences(a, b).empty());
}

TEST_CASE("what a dual encoder does not ask makes no difference", "[model][config_fields]") {
  ClipConfig a, b;
  b.vision.post_norm = b.vision.class_out = true;
  b.text.end = 2;
  b.text.hidden = 3072;
  b.first_log_scale = 0;
  CHECK(differences(a, b).empty());
  a.text.pooling = b.text.pooling = TextPooling::first_end;
  CHECK(differences(a, b).size() == 1);
  b.vision.other_sizes = OtherSizes::antialias;
  CHECK(differences(a, b).front().found == "flamingo::OtherSizes::antialias");
}

TEST_CASE("configs that differ are told apart field by field", "[model][config_fields]") {
  auto other = model;
  CHECK(differences(model, other).empty());
  other.lm.hidden = 128;  // what 0 stands for
  other.xattn.hidden = 128;
  other.resampler.vision_dim = 24;
  CHECK(differences(model, other).empty());
  other.lm.dim = 40;
  other.xattn.norm = NormKind::rms;
  const auto found = differences(model, other);
  REQUIRE(found.size() == 2);
  CHECK(found[0].field == "xattn.norm");
  CHECK(found[0].compiled == "flamingo::NormKind::layer");
  CHECK(found[1].field == "lm.dim");
  std::string error;
  try {
    check_config(model, other, "folder");
  } catch (const Error& e) {
    error = e.what();
  }
  CHECK_THAT(error,
             Catch::Contains("folder contradicts the compiled config") &&
                 Catch::Contains(
                     "xattn.norm: compiled flamingo::NormKind::layer, the checkpoint has flamingo::NormKind::rms") &&
                 Catch::Contains("lm.dim: compiled 32, the checkpoint has 40"));
  CHECK_NOTHROW(check_config(model, model, "folder"));
}

}  // namespace config_fields_test
