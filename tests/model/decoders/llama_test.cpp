#include <flamingo/model/decoders/llama.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/model/media.hpp>

#include "support/compare.hpp"
#include "support/golden.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Decoder = model::LlamaDecoder<lm_llama, P>;
constexpr Need need = all_gradients;

/// One run of the golden's left-padded batch, without its padding, with everything trained.
struct Run {
  io::Safetensors file{golden_path("lm_llama_io.safetensors")};
  Store<Decoder, P> lm = load_lm_llama<Decoder, P>(), gradients;
  Context<P> ctx{1};
  DecoderPlan plan;
  std::vector<int> places;  ///< of each row in the padded batch
  std::vector<Tensor<float>> hidden;
  Tensor<float> logits{1, 1};
  double loss = 0;

  Run() {
    const auto T = static_cast<int>(file.at("in.input_ids").shape[1]);
    const auto mask = numbers<int>(file.at("in.attention_mask")), labels = numbers<int>(file.at("in.labels"));
    std::vector<Sequence> sequences;
    for (int b = 0; b < 2; ++b) {
      Sequence s;
      s.ids = unpadded(file, b);
      s.phi.assign(s.ids.size(), 0);
      const int padding = T - static_cast<int>(s.ids.size());
      for (int t = padding; t < T; ++t) {
        places.push_back(b * T + t);
        const int next = t + 1 < T ? labels[static_cast<std::size_t>(b * T + t + 1)] : -100;
        s.targets.push_back(next == -100 ? -1 : next);
      }
      sequences.push_back(s);
    }
    plan = DecoderPlan::of(sequences, {}, 1);
    forward_and_backward();
  }

  void forward_and_backward() {
    const int N = plan.rows();
    const auto positions = table(ctx, plan.positions);
    const auto self = table(ctx, plan.self);
    std::array<Decoder::Block::Saved<need>, Decoder::layers> saved;
    auto x = keep<Decoder::D>(ctx, N);
    Decoder::embed(ctx, lm.views, table(ctx, plan.ids), x);
    for (std::size_t i = 0; i < Decoder::layers; ++i) {
      remember(x);
      const auto k = keep<Decoder::Block::KV>(ctx, N), v = keep<Decoder::Block::KV>(ctx, N);
      Pools<P> pools;
      pools.add({k, v});
      const auto z = keep<Decoder::D>(ctx, N);
      saved[i] = Decoder::Block::forward<need>(ctx, lm.views.blocks[i], x, positions, k, v, pools, self, z);
      x = z;
    }
    logits = Tensor<float>(N, Decoder::V);
    Decoder::logits(ctx, lm.views, x, logits.rows_on<P, Decoder::V>());

    const int L = static_cast<int>(plan.loss_rows.size());
    const auto rows = keep<Decoder::D>(ctx, L), drows = keep<Decoder::D>(ctx, L);
    ops::gather(ctx, x, table(ctx, plan.loss_rows), rows);
    const auto nll = take_vector<float, true>(ctx, L), weights = take_vector<float, true>(ctx, L);
    const auto targets = table(ctx, plan.targets);
    constexpr int chunk = 29;
    const auto loss_saved = Decoder::loss<need>(ctx, lm.views, rows, targets, chunk, nll);
    for (int i = 0; i < L; ++i) {
      loss += static_cast<double>(nll.data[i]) / L;
      weights.data[i] = 1.0f / static_cast<float>(L);
    }
    Decoder::loss_backward<need>(ctx, lm.views, loss_saved, targets, chunk, weights, drows, gradients.views);
    auto dx = keep<Decoder::D>(ctx, N), dnext = keep<Decoder::D>(ctx, N);
    ops::clear(ctx, dx);
    ops::scatter_add(ctx, drows, table(ctx, plan.loss_rows), dx);
    for (std::size_t i = Decoder::layers; i-- > 0;) {
      Decoder::Block::backward(ctx, lm.views.blocks[i], saved[i], positions, self, dx, dnext,
                               gradients.views.blocks[i]);
      std::swap(dx, dnext);
    }
    Decoder::embed_backward(ctx, table(ctx, plan.ids), dx, gradients.views);
    // The last golden hidden state is after the final norm.
    Tensor<float> normed(N, Decoder::D);
    Decoder::NormLayer::forward<no_gradients>(ctx, lm.views.norm, lm_llama.epsilon, x, normed.rows_on<P, Decoder::D>());
    hidden.push_back(normed);
  }
  void remember(const Rows<P, Decoder::D>& x) {
    Tensor<float> copy(x.rows, Decoder::D);
    std::copy_n(x.data, x.size(), copy.data());
    hidden.push_back(copy);
  }
  /// Rows of a golden output without those of padding.
  Tensor<float> golden(std::string_view name) const {
    const auto all = numbers<float>(file.at(name));
    const auto width = static_cast<std::size_t>(file.at(name).shape.back());
    Tensor<float> rows(static_cast<int>(places.size()), static_cast<int>(width));
    for (std::size_t n = 0; n < places.size(); ++n)
      std::copy_n(all.data() + static_cast<std::size_t>(places[n]) * width, width, rows.data() + n * width);
    return rows;
  }
};

}  // namespace

TEST_CASE("A LLaMA decoder's hidden states, logits and loss agree with transformers") {
  const Run run;
  for (std::size_t i = 0; i < run.hidden.size(); ++i) {
    INFO("hidden state " << i);
    CHECK(distance(run.hidden[i], run.golden("mid.hidden_states." + std::to_string(i))).relative <= 1e-5);
  }
  CHECK(distance(run.logits, run.golden("out.logits")).relative <= 1e-5);
  CHECK(run.loss == Approx(numbers<double>(run.file.at("out.loss"))[0]).epsilon(1e-5));
}

TEST_CASE("A LLaMA decoder's gradients agree with transformers") {
  Run run;
  int compared = 0;
  auto compare = [&](const Spec& spec, const auto& leaf) {
    const std::string name = hugging_face_llama_name(spec.name);
    INFO(name);
    const auto expected = numbers<float>(run.file.at("grad." + name));
    REQUIRE(expected.size() == spec.size());
    CHECK(distance(leaf.data, expected.data(), expected.size()).relative <= 1e-4);
    ++compared;
  };
  Decoder::each(compare, run.gradients.views);
  CHECK(compared == 3 + 3 * 9);
}
