#include <flamingo/model/decoders/mpt.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "check/agree.hpp"
#include "check/lm.hpp"
#include "support/layer.hpp"

namespace mpt_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("An MPT decoder with clamped projections and six heads agrees with transformers") {
  constexpr Mpt clamped{.dim = 48, .layers = 2, .heads = 6, .vocabulary = 70, .context = 40, .clamp = 1.5f};
  check_agreement(check_lm<clamped>(golden_path("lm_mpt_6heads_clipqkv_io.safetensors")));
}

namespace {

// MPT-1B's kind, which transformers does not know: LayerNorm over whole rows of queries and keys.
constexpr Mpt mpt_1b{
    .dim = 12, .layers = 2, .heads = 3, .hidden = 19, .vocabulary = 17, .context = 23, .clamp = 0.8f, .qk_norm = true};
constexpr int D = mpt_1b.dim, F = mpt_1b.hidden, V = mpt_1b.vocabulary, K = D / 3;

/// The same model in plain loops over doubles, written from MosaicML's description alone: parameters by name.
struct Naive {
  using Row = std::vector<double>;
  std::map<std::string, Row> p;

  static double gelu(double z) { return z / 2 * (1 + std::erf(z / std::sqrt(2.0))); }
  /// Rows of weights times x.
  static Row times(const Row& w, const Row& x) {
    Row y(w.size() / x.size(), 0);
    for (std::size_t o = 0; o < y.size(); ++o)
      for (std::size_t i = 0; i < x.size(); ++i) y[o] += w[o * x.size() + i] * x[i];
    return y;
  }
  static Row norm(const Row& x, const Row& scale) {
    double mean = 0, variance = 0;
    for (const double v : x) mean += v / static_cast<double>(x.size());
    for (const double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
    Row y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] = (x[i] - mean) / std::sqrt(variance + static_cast<double>(1e-5f)) * scale[i];
    return y;
  }
  static Row clamped(Row x) {
    const double most = static_cast<double>(mpt_1b.clamp);
    for (double& v : x) v = std::max(-most, std::min(most, v));
    return x;
  }

  /// Logits of each token's successor.
  std::vector<Row> logits(const std::vector<int>& ids) const {
    const double slopes[] = {1 / 16.0, 1 / 256.0, 1 / 4.0};  // of three heads, out of those of four
    std::vector<Row> x;
    for (const int id : ids)
      x.emplace_back(p.at("embedding").begin() + id * D, p.at("embedding").begin() + (id + 1) * D);
    for (int l = 0; l < mpt_1b.layers; ++l) {
      const auto of = [&](const std::string& name) { return p.at("blocks." + std::to_string(l) + "." + name); };
      std::vector<Row> keys, values;
      for (std::size_t t = 0; t < x.size(); ++t) {
        const Row normed = norm(x[t], of("norm.scale"));
        const Row q = norm(clamped(times(of("attention.query"), normed)), of("attention.query_norm.scale"));
        keys.push_back(norm(clamped(times(of("attention.key"), normed)), of("attention.key_norm.scale")));
        values.push_back(clamped(times(of("attention.value"), normed)));
        Row attended(D, 0);
        for (std::size_t h = 0; h < 3; ++h) {
          Row weight(t + 1);
          double sum = 0;
          for (std::size_t s = 0; s <= t; ++s) {
            double score = -slopes[h] * static_cast<double>(t - s);
            for (std::size_t i = h * K; i < (h + 1) * K; ++i) score += q[i] * keys[s][i] / std::sqrt(double{K});
            sum += weight[s] = std::exp(score);
          }
          for (std::size_t s = 0; s <= t; ++s)
            for (std::size_t i = h * K; i < (h + 1) * K; ++i) attended[i] += weight[s] / sum * values[s][i];
        }
        const Row out = times(of("attention.out"), attended);
        for (std::size_t i = 0; i < D; ++i) x[t][i] += out[i];
        Row hidden = times(of("dense.up"), norm(x[t], of("norm_dense.scale")));
        for (double& v : hidden) v = gelu(v);
        const Row down = times(of("dense.down"), hidden);
        for (std::size_t i = 0; i < D; ++i) x[t][i] += down[i];
      }
    }
    for (Row& row : x) row = times(p.at("embedding"), norm(row, p.at("norm.scale")));
    return x;
  }
  /// Mean negative log-likelihood of each token but the first.
  double loss(const std::vector<int>& ids) const {
    const auto all = logits(ids);
    double nll = 0;
    for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
      double sum = 0;
      for (const double z : all[t]) sum += std::exp(z);
      nll += std::log(sum) - all[t][static_cast<std::size_t>(ids[t + 1])];
    }
    return nll / static_cast<double>(ids.size() - 1);
  }
};

const std::vector<int> text{3, 16, 0, 7, 7, 11, 2, 5, 9, 14, 1};

}  // namespace

TEST_CASE("MPT-1B's decoder agrees with a program of plain loops") {
  using P = Cpu<double>;
  using Model = LanguageModel<mpt_1b, P>;
  using Decoder = Model::Decoder;
  const auto lm = drawn<Decoder, P>(41);
  Naive naive;
  std::size_t clamps = 0;
  auto copy = [&](const Spec& spec, const auto& leaf) {
    naive.p[std::string(std::string_view(spec.name))].assign(leaf.data, leaf.data + spec.size());
  };
  Decoder::each(copy, lm.views);
  CHECK(naive.p.size() == 2 + 2 * 10);
  const auto first = Naive::times(naive.p.at("blocks.0.attention.value"),
                                  Naive::norm({naive.p.at("embedding").begin(), naive.p.at("embedding").begin() + D},
                                              naive.p.at("blocks.0.norm.scale")));
  for (const double v : first) clamps += std::abs(v) > static_cast<double>(mpt_1b.clamp);
  CHECK(clamps > 0);  // the clamp does something, and not to everything
  CHECK(clamps < first.size());

  Sequence s{.ids = text, .phi = std::vector<int>(text.size(), 0), .targets = {text.begin() + 1, text.end()}};
  s.targets.push_back(-1);
  const auto expected = naive.logits(text);
  Tensor<double> rows(static_cast<int>(text.size()), V);
  for (std::size_t t = 0; t < expected.size(); ++t)
    std::copy(expected[t].begin(), expected[t].end(), rows.data() + t * std::size_t{V});
  const double bound = chain_bound<double>(2 * 4 * (3 * D + F + text.size()));
  Context<P> ctx(1);
  {
    const auto kept = ctx.kept_scope();
    const auto scope = ctx.scope();
    const std::vector<Sequence> one{s};
    const auto plan = DecoderPlan::of(one, {}, 1);
    LmRun<Decoder, P> run(ctx, lm.views, plan);
    CHECK(distance(run.logits, rows).relative < bound);
    CHECK(run.loss == Approx(naive.loss(text)).epsilon(bound));

    // Gradients against differences of the naive program's loss, along a drawn direction of each parameter.
    auto compare = [&](const Spec& spec, const auto& g) {
      const std::string name{std::string_view(spec.name)};
      INFO(name);
      Random random(20221128, hash(spec.name));
      const auto before = naive.p.at(name);
      std::vector<double> direction(spec.size());
      for (double& d : direction) d = random.below(2) ? 1 : -1;
      const double step = difference_step(0);
      const auto at = [&](double distance) {
        for (std::size_t i = 0; i < spec.size(); ++i) naive.p[name][i] = before[i] + distance * direction[i];
        return naive.loss(text);
      };
      const double difference = (at(step) - at(-step)) / (2 * step);
      naive.p[name] = before;
      double along = 0, norm = 0;
      for (std::size_t i = 0; i < spec.size(); ++i) {
        along += g.data[i] * direction[i];
        norm += g.data[i] * g.data[i];
      }
      CHECK(norm > 0);
      CHECK(std::abs(difference - along) < gradient_bound(std::sqrt(norm), run.loss));
    };
    Decoder::each(compare, run.gradients.views);
  }

  // Read from caches, in pieces and token by token.
  auto engine = make_engine<Model>(ctx, lm.views);
  TextState state = engine.begin({.ids = {text.begin(), text.begin() + 4}, .phi = {0, 0, 0, 0}});
  for (std::size_t t = 4;; ++t) {
    TextState* const one[] = {&state};
    const auto logits = engine.next_logits(one);
    CHECK(distance(logits.data(), expected[t - 1].data(), std::size_t{V}).relative < bound);
    if (t == text.size()) break;
    state.append(text[t]);
  }
}

}  // namespace mpt_test
