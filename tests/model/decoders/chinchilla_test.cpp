#include <flamingo/model/decoders/chinchilla.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "check/lm.hpp"
#include "support/compare.hpp"
#include "support/layer.hpp"
#include "support/platforms.hpp"

namespace chinchilla_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr Chinchilla mini{
    .dim = 12, .layers = 2, .heads = 3, .head_dim = 5, .hidden = 19, .vocabulary = 15, .added = 2, .context = 23};
constexpr std::size_t D = mini.dim, H = mini.heads, K = mini.head_dim, V = mini.vocabulary + mini.added;

/// The same without any bias but those of the positions.
constexpr Chinchilla unbiased = [] {
  Chinchilla c = mini;
  c.bias = c.norm_bias = false;
  return c;
}();

/// The same model in plain loops over doubles, written from the papers alone: parameters by name, biases where they
/// are.
struct Naive {
  using Row = std::vector<double>;
  std::map<std::string, Row> p;

  static double gelu(double z) {
    return z / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (z + 0.044715 * z * z * z)));
  }
  /// Rows of weights times x.
  static Row times(const Row& w, const Row& x) {
    Row y(w.size() / x.size(), 0);
    for (std::size_t o = 0; o < y.size(); ++o)
      for (std::size_t i = 0; i < x.size(); ++i) y[o] += w[o * x.size() + i] * x[i];
    return y;
  }
  static Row sum(Row a, const Row& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  }
  Row linear(const std::string& name, const Row& x) const {
    const auto bias = p.find(name + "_bias");
    const Row y = times(p.at(name), x);
    return bias == p.end() ? y : sum(y, bias->second);
  }
  Row norm(const std::string& name, const Row& x) const {
    double square = 0;
    for (const double v : x) square += v * v / static_cast<double>(x.size());
    const auto bias = p.find(name + ".bias");
    Row y = bias == p.end() ? Row(x.size(), 0) : bias->second;
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] += x[i] / std::sqrt(square + static_cast<double>(1e-5f)) * p.at(name + ".scale")[i];
    return y;
  }
  static Row sinusoid(std::size_t distance) {
    Row wave(D);
    for (std::size_t i = 0; i < D / 2; ++i) {
      const double angle =
          static_cast<double>(distance) / std::pow(10000, 2 * static_cast<double>(i) / static_cast<double>(D));
      wave[i] = std::sin(angle);
      wave[D / 2 + i] = std::cos(angle);
    }
    return wave;
  }
  /// The embedding and the added rows as one table, which is the output layer too.
  Row vocabulary() const {
    Row all = p.at("embedding");
    all.insert(all.end(), p.at("added").begin(), p.at("added").end());
    return all;
  }

  /// Logits of each token's successor.
  std::vector<Row> logits(const std::vector<int>& ids) const {
    const Row words = vocabulary();
    std::vector<Row> x;
    for (const int id : ids) x.emplace_back(words.begin() + id * int{D}, words.begin() + (id + 1) * int{D});
    for (int l = 0; l < mini.layers; ++l) {
      const std::string block = "blocks." + std::to_string(l) + ".", attention = block + "attention.";
      const Row &u = p.at(attention + "u"), &v = p.at(attention + "v");
      std::vector<Row> keys, values, distances;
      for (std::size_t t = 0; t < x.size(); ++t) {
        const Row normed = norm(block + "norm", x[t]), q = linear(attention + "query", normed);
        keys.push_back(linear(attention + "key", normed));
        values.push_back(linear(attention + "value", normed));
        distances.push_back(times(p.at(attention + "distance"), sinusoid(t)));
        Row attended(H * K, 0);
        for (std::size_t h = 0; h < H; ++h) {
          Row weight(t + 1);
          double total = 0;
          for (std::size_t s = 0; s <= t; ++s) {
            double score = 0;
            for (std::size_t i = h * K; i < (h + 1) * K; ++i)
              score += (q[i] + u[i]) * keys[s][i] + (q[i] + v[i]) * distances[t - s][i];
            total += weight[s] = std::exp(score * static_cast<double>(1 / std::sqrt(static_cast<float>(K))));
          }
          for (std::size_t s = 0; s <= t; ++s)
            for (std::size_t i = h * K; i < (h + 1) * K; ++i) attended[i] += weight[s] / total * values[s][i];
        }
        x[t] = sum(x[t], linear(attention + "out", attended));
        Row hidden = linear(block + "dense.up", norm(block + "norm_dense", x[t]));
        for (double& z : hidden) z = gelu(z);
        x[t] = sum(x[t], linear(block + "dense.down", hidden));
      }
    }
    for (Row& row : x) row = times(words, norm("norm", row));
    return x;
  }
  /// Mean negative log-likelihood of each token but the first.
  double loss(const std::vector<int>& ids) const {
    const auto all = logits(ids);
    double nll = 0;
    for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
      double total = 0;
      for (const double z : all[t]) total += std::exp(z);
      nll += std::log(total) - all[t][static_cast<std::size_t>(ids[t + 1])];
    }
    return nll / static_cast<double>(ids.size() - 1);
  }
};

const std::vector<int> text{3, 16, 0, 7, 7, 11, 2, 5, 15, 14, 1};

}  // namespace

TEMPLATE_TEST_CASE_SIG("Chinchilla's decoder agrees with a program of plain loops", "[decoder]",
                       ((Chinchilla C, int parameters), C, parameters), (mini, 4 + 2 * 19), (unbiased, 3 + 2 * 11)) {
  using P = Cpu<double>;
  using Model = LanguageModel<C, P>;
  using Decoder = Model::Decoder;
  const auto lm = drawn<Decoder, P>(41);
  Naive naive;
  auto copy = [&](const Spec& spec, const auto& leaf) {
    naive.p[std::string(std::string_view(spec.name))].assign(leaf.data, leaf.data + spec.size());
  };
  Decoder::each(copy, lm.views);
  CHECK(naive.p.size() == parameters);

  Sequence s{.ids = text, .phi = std::vector<int>(text.size(), 0), .targets = {text.begin() + 1, text.end()}};
  s.targets.push_back(-1);
  const auto expected = naive.logits(text);
  Tensor<double> rows(static_cast<int>(text.size()), int{V});
  for (std::size_t t = 0; t < expected.size(); ++t)
    std::copy(expected[t].begin(), expected[t].end(), rows.data() + t * V);
  const double bound = chain_bound<double>(2 * 4 * (3 * D + std::size_t{mini.hidden} + text.size()));
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
      CHECK(std::abs(difference - along) < gradient_bound(std::sqrt(norm), run.loss));
      if (!name.ends_with("key_bias")) CHECK(norm > 0);
    };
    Decoder::each(compare, run.gradients.views);
  }

  // Read from caches, in pieces and token by token.
  auto engine = make_engine<Model>(ctx, lm.views);
  TextState state = engine.begin({.ids = {text.begin(), text.begin() + 4}, .phi = {0, 0, 0, 0}});
  for (std::size_t t = 4;; ++t) {
    TextState* const one[] = {&state};
    const auto logits = engine.next_logits(one);
    CHECK(distance(logits.data(), expected[t - 1].data(), V).relative < bound);
    if (t == text.size()) break;
    state.append(text[t]);
  }
}

namespace {

constexpr Chinchilla narrow{
    .dim = 4, .layers = 2, .heads = 2, .head_dim = 2, .hidden = 5, .vocabulary = 11, .context = 2201};

}  // namespace

TEMPLATE_LIST_TEST_CASE("Chinchilla read from caches has the bits of one pass, past 2,048 positions", "[decoder]",
                        Platforms) {
  using P = TestType;
  using Model = LanguageModel<narrow, P>;
  using R = typename P::Real;
  const auto lm = drawn<typename Model::Decoder, P>(43);
  Context<P> ctx(1);
  auto engine = make_engine<Model>(ctx, lm.views);
  std::vector<int> ids(std::size_t{narrow.context});
  Random draw(20221128, 1);
  for (int& id : ids) id = draw.below(narrow.vocabulary);
  const std::vector<int> phi(ids.size(), 0);
  const auto begin = [&](std::size_t count) {
    return engine.begin({.ids = {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count)},
                         .phi = {phi.begin(), phi.begin() + static_cast<std::ptrdiff_t>(count)}});
  };
  // A prompt of 53 tokens first, whose distances are made before those of the others.
  TextState prompt = begin(53), whole = begin(ids.size());
  TextState* const first[] = {&prompt};
  std::vector<R> cached;
  const auto remember = [&](const Rows<P, Model::D>& rows) {
    cached.insert(cached.end(), rows.data, rows.data + rows.size());
  };
  const auto read = [&](std::size_t from, std::size_t to) {
    const auto scope = ctx.scope();
    for (std::size_t t = from; t < to; ++t) prompt.append(ids[t]);
    remember(engine.read(first));
  };
  read(53, 53);
  read(53, 2000);
  for (std::size_t t = 2000; t < 2100; ++t) read(t, t + 1);
  read(2100, ids.size());
  const auto scope = ctx.scope();
  TextState* const all[] = {&whole};
  const auto rows = engine.read(all);
  REQUIRE(cached.size() == rows.size());
  CHECK(std::equal(cached.begin(), cached.end(), rows.data));
}

TEMPLATE_LIST_TEST_CASE("Chinchilla reads a tree of continuations as each of them alone", "[decoder]", Platforms) {
  using P = TestType;
  using Model = LanguageModel<narrow, P>;
  using R = typename P::Real;
  const auto lm = drawn<typename Model::Decoder, P>(43);
  Context<P> ctx(1);
  auto engine = make_engine<Model>(ctx, lm.views, {.text_rows = 64});
  TextState state = engine.begin({.ids = {1, 7, 3, 9, 4}, .phi = std::vector<int>(5, 0)});
  TextState* const one[] = {&state};
  const auto scope = ctx.scope();
  engine.read(one);
  const std::vector<int> ids{5, 2, 8, 6, 10, 0}, parents{-1, 0, 0, 2, -1, 3}, phi(6, 0);
  const NewTokens tree[] = {{&state, ids, phi, parents}};
  const auto rows = engine.forward(tree).hidden;
  for (const std::vector<int>& path : {std::vector<int>{0, 1}, {0, 2, 3, 5}, {4}}) {
    TextState alone = state;
    for (const int t : path) alone.append(ids[static_cast<std::size_t>(t)]);
    TextState* const only[] = {&alone};
    const auto chain = engine.read(only);
    for (std::size_t i = 0; i < path.size(); ++i) {
      const R *a = chain.row(static_cast<int>(i)), *b = rows.row(path[i]);
      CHECK(std::equal(a, a + Model::D, b));
    }
  }
}

}  // namespace chinchilla_test
