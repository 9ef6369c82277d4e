#include <flamingo/model/mllama_names.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "check/agree.hpp"
#include "check/mllama.hpp"
#include "support/layer.hpp"

namespace mllama_names_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// What tests/check/mllama.py says of mllama_tiny.
constexpr auto tiny = mllama({.image = 28,
                              .patch = 14,
                              .tiles = 4,
                              .ratios = 8,
                              .dim = 24,
                              .layers = 3,
                              .global_layers = 2,
                              .heads = 3,
                              .hidden = 40,
                              .intermediate = LayerList::of({0, 2})},
                             {.dim = 32,
                              .layers = 2,
                              .heads = 4,
                              .kv_heads = 2,
                              .hidden = 48,
                              .vocabulary = 90,
                              .added = 8,
                              .added_output = false,
                              .context = 128,
                              .rotary_base = 500000.0,
                              .rotary_scaling = {.factor = 8, .low = 1, .high = 4, .context = 32}},
                             MllamaMasks::transformers, Places::of({1, 2}));

using P = Cpu<float>;
using Parts = MllamaParts<tiny, P>;
using Model = Parts::Model;
constexpr int image = 90, R = Model::R, F = tiny.vision.features();

/// An engine over the golden's weights, and prompts with pictures of drawn features.
struct Prompts {
  Parts weights{io::Safetensors(golden_path("mllama_tiny/model.safetensors"))};
  Context<P> ctx{1};
  Engine<Model, Store<Parts::Connect, P>::Views, Store<Parts::Decoder, P>::Views> engine =
      make_engine<Model>(ctx, weights.connector.views, weights.lm.views, {.text_rows = 1 << 11, .media = 8});
  /// Adjacent pictures after text; a single one; none.
  std::vector<std::vector<int>> ids{{5, 7, image, image, 11, 3, image, 17, 2}, {image, 4, 9}, {8, 6, 31, 1}};

  CachedMedium picture(int i) {
    Tensor<float> x = drawn_rows<float>(R, F, static_cast<std::uint64_t>(i) + 50);
    return engine.add_medium(x.rows_on<P, F>(), 1, 0, (i % 3 + 1) * tiny.vision.tile_rows());
  }
  Sequence sequence(std::size_t p) const {
    Sequence s;
    s.ids = ids[p];
    std::vector<int> tags;
    for (std::size_t t = 0; t < s.ids.size(); ++t)
      if (s.ids[t] == image) tags.push_back(static_cast<int>(t));
    s.phi = phi_of(tags, static_cast<int>(s.ids.size()));
    s.media = static_cast<int>(tags.size());
    return s;
  }
  std::vector<CachedMedium> media(std::size_t p) {
    std::vector<CachedMedium> all;
    for (int m = 0; m < sequence(p).media; ++m) all.push_back(picture(10 * static_cast<int>(p) + m));
    return all;
  }
  TextState begin(std::size_t p) { return engine.begin(sequence(p), media(p)); }
};

}  // namespace

TEST_CASE("Llama 3.2 Vision agrees with transformers in every tensor, greedy and beam", "[mllama][golden]") {
  check_agreement(check_mllama<tiny>(golden_path("mllama_tiny_io.safetensors")));
}

TEST_CASE("Llama 3.2 Vision's tensors are written as they were read", "[mllama]") {
  const io::Safetensors file(golden_path("mllama_tiny/model.safetensors"));
  const Parts parts(file);
  TensorWriter writer(io::DType::f32);
  writer.add<Parts::Vision>(parts.vision.views, mllama_vision_names());
  writer.add<Parts::Connect>(parts.connector.views, mllama_connector_names(tiny));
  writer.add<Parts::Decoder>(parts.lm.views, mllama_lm_names(tiny));
  const auto written = writer.tensors();
  CHECK(written.size() == file.tensors().size());
  for (const io::TensorView& tensor : written) {
    INFO(tensor.name);
    const io::TensorView* read = file.find(tensor.name);
    REQUIRE(read);
    CHECK(tensor.shape == read->shape);
    CHECK(numbers<float>(tensor) == numbers<float>(*read));
  }
}

TEST_CASE("prompts of different lengths and pictures in one batch are those alone", "[mllama]") {
  Prompts all;
  std::vector<TextState> states;
  for (std::size_t p = 0; p < all.ids.size(); ++p) states.push_back(all.begin(p));
  const auto together = generate(all.engine, std::span(states), {.max_new_tokens = 9});
  for (std::size_t p = 0; p < all.ids.size(); ++p) {
    Prompts one;
    TextState state = one.begin(p);
    const Generated alone = generate(one.engine, state, {.max_new_tokens = 9});
    CHECK(alone.ids == together[p].ids);
    CHECK(alone.log_likelihoods == together[p].log_likelihoods);
  }
}

TEST_CASE("a prompt read in pieces sees the same runs of pictures", "[mllama]") {
  Prompts all;
  TextState whole = all.begin(0);
  TextState* const one[] = {&whole};
  const auto expected = all.engine.next_logits(one);
  const Sequence s = all.sequence(0);
  for (std::size_t cut = 1; cut < s.ids.size(); ++cut) {
    INFO("cut before token " << cut);
    Sequence first = s;
    first.ids.resize(cut);
    first.phi.resize(cut);
    TextState state = all.engine.begin(first, all.media(0));  // all at once: leading text sees later media too
    TextState* const piece[] = {&state};
    all.engine.next_logits(piece);
    all.engine.append(state, std::span(s.ids).subspan(cut), std::span(s.phi).subspan(cut));
    CHECK(all.engine.next_logits(piece) == expected);
  }
}

TEST_CASE("rows that are not there change nothing, and an id that is read alone is never written", "[mllama]") {
  Prompts all;
  Tensor<float> x = drawn_rows<float>(R, F, 60);
  const int rows = 2 * tiny.vision.tile_rows();
  const auto logits = [&] {
    TextState state =
        all.engine.begin(all.sequence(1), std::vector{all.engine.add_medium(x.rows_on<P, F>(), 1, 0, rows)});
    TextState* const one[] = {&state};
    return all.engine.next_logits(one);
  };
  const auto before = logits();
  CHECK(before.size() == 90);
  x(rows, 3) += 1;
  CHECK(logits() == before);
  x(rows - 1, 3) += 1;
  CHECK(logits() != before);
  CHECK_THROWS_WITH(all.engine.begin(Sequence{.ids = {98}}), "[prompt] token 0 is 98, expected 0 to 97");
  CHECK_THROWS_WITH(all.engine.add_medium(x.rows_on<P, F>(), 1, 0, R + 1),
                    "[engine] 21 rows to be seen, expected 1 to 20, or 0: all");
}

}  // namespace mllama_names_test
