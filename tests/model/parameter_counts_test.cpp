#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/model/clip/dual_encoder.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/parameter_counts.hpp>
#include <flamingo/model/vision/encoder.hpp>

namespace parameter_counts_test {

using namespace flamingo;
using P = Cpu<float>;

namespace {

template <class Layer>
constexpr auto compiled = static_cast<std::int64_t>(parameter_count<Layer>());

constexpr Llama llama{
    .dim = 20, .layers = 3, .heads = 4, .kv_heads = 2, .head_dim = 6, .hidden = 23, .vocabulary = 31, .added = 3};
constexpr Mpt mpt{.dim = 28, .layers = 3, .heads = 7, .vocabulary = 31, .added = 2, .qk_norm = true};
constexpr GptNeox neox{.dim = 20, .layers = 2, .heads = 5, .hidden = 43, .vocabulary = 37, .rotary_share = 1};
constexpr Chinchilla chinchilla{
    .dim = 12, .layers = 3, .heads = 5, .head_dim = 6, .vocabulary = 31, .added = 1, .context = 9};
constexpr Vit vit{.image = 15, .patch = 5, .dim = 12, .layers = 3, .heads = 3, .hidden = 19, .post_norm = true};
constexpr ResamplerConfig resampler{.vision_dim = 11,
                                    .norm_input = true,
                                    .dim = 13,
                                    .latents = 5,
                                    .layers = 3,
                                    .heads = 2,
                                    .head_dim = 7,
                                    .qk_norm = QkNorm::heads_layer,
                                    .frames = 3,
                                    .media = 2,
                                    .out_dim = 17};
constexpr ClipConfig clip{.vision = vit,
                          .text = {.context = 5, .vocabulary = 17, .dim = 8, .layers = 2, .heads = 2, .hidden = 9},
                          .projection = 7};
constexpr XattnConfig plain{.heads = 3, .head_dim = 5, .norm_media = true, .vector_gates = true};
constexpr XattnConfig swiglu{.heads = 4,
                             .kv_heads = 2,
                             .head_dim = 5,
                             .qk_norm = QkNorm::heads_rms,
                             .hidden = 17,
                             .activation = Activation::silu,
                             .gated_dense = true,
                             .norm = NormKind::rms};

constexpr XattnConfig vanilla{.conditioning = Conditioning::vanilla_xattn, .heads = 3, .head_dim = 5};
constexpr XattnConfig ungated{.gate = Gate::none, .heads = 3, .head_dim = 5};
constexpr ResamplerConfig of_kind(ResamplerKind kind) {
  ResamplerConfig c = resampler;
  c.kind = kind;
  return c;
}
constexpr FlamingoConfig<Vit, Mpt> grafted{
    .vision = vit,
    .resampler = resampler,
    .xattn = {.conditioning = Conditioning::grafting, .grafted = 2, .heads = 3, .head_dim = 5},
    .lm = mpt};

constexpr MllamaVision tiles{.image = 9,
                             .patch = 4,
                             .tiles = 3,
                             .ratios = 5,
                             .dim = 6,
                             .layers = 2,
                             .global_layers = 3,
                             .heads = 2,
                             .hidden = 7,
                             .intermediate = LayerList::of({1})};
constexpr ResamplerConfig projector{.vision_dim = 12, .dim = 5, .latents = 4, .layers = 0, .project = true};
constexpr Llama read_alone = [] {
  Llama c = llama;
  c.added_output = false;
  return c;
}();

constexpr NfNet nfnet{
    .depths = {1, 3, 2, 1}, .widths = {16, 24, 40, 40}, .stem = 16, .group = 8, .head = 20, .classes = 7};
constexpr NfNet headless{.depths = {2, 1, 1, 2},
                         .widths = {16, 24, 40, 56},
                         .stem = 8,
                         .group = 4,
                         .width_multiple = 8,
                         .squeeze_multiple = 8,
                         .features = NfNetFeatures::stages};
constexpr Chinchilla bare_chinchilla = [] {
  Chinchilla c = chinchilla;
  c.bias = c.norm_bias = c.tied = false;
  return c;
}();
constexpr Llama tied_llama = [] {
  Llama c = llama;
  c.tied = true;
  return c;
}();

}  // namespace

TEST_CASE("parameters counted at run time are those of the compiled layers", "[model][parameter_counts]") {
  CHECK(parameter_count_of(llama) == compiled<DecoderOf<llama, P>>);
  CHECK(parameter_count_of(tied_llama) == compiled<DecoderOf<tied_llama, P>>);
  CHECK(parameter_count_of(read_alone) == compiled<DecoderOf<read_alone, P>>);
  CHECK(parameter_count_of(tiles) == compiled<Encoder<tiles, P>>);
  CHECK(parameter_count_of(projector) == compiled<model::Projector<projector, P>>);
  CHECK(parameter_count_of(mpt) == compiled<DecoderOf<mpt, P>>);
  CHECK(parameter_count_of(neox) == compiled<DecoderOf<neox, P>>);
  CHECK(parameter_count_of(chinchilla) == compiled<DecoderOf<chinchilla, P>>);
  CHECK(parameter_count_of(nfnet) == compiled<Encoder<nfnet, P>>);
  CHECK(parameter_count_of(headless) == compiled<Encoder<headless, P>>);
  CHECK(parameter_count_of(folded(headless)) == compiled<Encoder<folded(headless), P>>);
  CHECK(parameter_count_of(bare_chinchilla) == compiled<DecoderOf<bare_chinchilla, P>>);
  CHECK(parameter_count_of(vit) == compiled<Encoder<vit, P>>);
  CHECK(parameter_count_of(clip) == compiled<model::DualEncoder<clip, P>>);
  CHECK(parameter_count_of(resampler) == compiled<model::Resampler<resampler, P>>);
  CHECK(parameter_count_of(plain, 11, 13) == compiled<model::GatedCrossAttention<plain, 11, 13, P>>);
  CHECK(parameter_count_of(vanilla, 11, 13) == compiled<model::GatedCrossAttention<vanilla, 11, 13, P>>);
  CHECK(parameter_count_of(ungated, 11, 13) == compiled<model::GatedCrossAttention<ungated, 11, 13, P>>);
  CHECK(parameter_count_of(of_kind(ResamplerKind::transformer)) ==
        compiled<model::Resampler<of_kind(ResamplerKind::transformer), P>>);
  CHECK(parameter_count_of(of_kind(ResamplerKind::mlp)) == compiled<model::Resampler<of_kind(ResamplerKind::mlp), P>>);
  CHECK(parameter_count_of(grafted) ==
        compiled<Encoder<vit, P>> + compiled<DecoderOf<mpt, P>> + compiled<model::Connector<grafted, P>>);
  CHECK(parameter_count_of(swiglu, 12, 13) == compiled<model::GatedCrossAttention<swiglu, 12, 13, P>>);
}

TEST_CASE("published sizes", "[model][parameter_counts]") {
  // LLaMA-7B has 6,738,415,616 parameters, MPT-7B 6,649,286,656, MPT-1B's OpenFlamingo 3B's gated blocks and Resampler
  // are 4 bytes a number in a file of 4.188 GB.
  CHECK(parameter_count_of(Llama{}) == 6'738'415'616);
  CHECK(parameter_count_of(Mpt{}) == 6'649'286'656);
  CHECK(parameter_count_of(Vit{}) == 303'177'728);
  // Table A9 of Hoffmann et al. 2022 has models of 1,429 M and 6,796 M; to the digit after, 1,429.5 M and 6,796.3 M.
  CHECK(parameter_count_of(Chinchilla{.layers = 25}) == 1'429'456'896);
  CHECK(parameter_count_of(Chinchilla{.dim = 3584, .layers = 40, .heads = 28}) == 6'796'274'688);
}

}  // namespace parameter_counts_test
