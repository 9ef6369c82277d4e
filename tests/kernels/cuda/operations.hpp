/// Every op that Cuda has, run once on a platform.
#pragma once
#include <flamingo/ops/activation.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/attention.hpp>
#include <flamingo/ops/fused_linear.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/ops/norm.hpp>
#include <flamingo/ops/residual.hpp>

#include "kernels/cuda/on_platform.hpp"
#include "support/attention_case.hpp"

namespace flamingo::test {

/// Most numbers that one result below is a sum of, times the roundings of a term.
inline constexpr std::size_t roundings_of_operations = 4 * 131;

template <Platform P>
struct Operations : Run<P> {
  using typename Run<P>::R;
  using typename Run<P>::A;
  using Run<P>::ctx;

  void linear() {
    const int N = 7, I = 11, O = 13;
    const auto x = this->rows(N, I, 1), dy = this->rows(N, O, 2), y = this->blank(N, O), dx = this->blank(N, I);
    const auto w = this->matrix(O, I, 3), dw = this->matrix(O, I, 4);
    const auto b = this->vector(O, 5), db = this->vector(O, 6);
    ops::linear(ctx, x, w, b, y);
    ops::linear_backward(ctx, x, w, dy, dx, dw, db);
    this->report("linear y", y);
    this->report("linear dx", dx);
    this->report("linear dw", dw);
    this->report("linear db", db);
  }

  /// Maps with what follows them: of few rows, as in decoding, and of more.
  void fused(int N) {
    const int I = 19, O = 13;
    const std::string name = std::to_string(N) + " fused rows ";
    const auto x = this->rows(N, I, 101), base = this->rows(N, O, 102), hidden = this->blank(N, O),
               other = this->blank(N, O), y = this->blank(N, O);
    const auto w = this->matrix(O, I, 103), up = this->matrix(O, I, 104);
    const auto b = this->vector(O, 105), gates = this->vector(O, 106);
    const auto gate = this->template vector<1>(1, 107);
    const auto made = [&](const char* what) { this->report(name + what, y); };
    const auto narrow = this->blank(N, 5);
    const auto w5 = this->matrix(5, I, 108);
    ops::linears(ctx, x, map_to(w, b, y), map_to(w5, Nothing{}, narrow), map_to(up, Nothing{}, hidden));
    made("first of several");
    this->report(name + "second of several", narrow);
    this->report(name + "third of several", hidden);
    ops::linear_activate<Activation::gelu, false>(ctx, x, w, b, hidden, y);
    made("activated");
    ops::linear_activate<Activation::squared_relu, false>(ctx, x, w, Nothing{}, hidden, y);
    made("activated without bias");
    ops::linear_gate_activate<Activation::silu, false>(ctx, x, w, up, hidden, other, y);
    made("gated");
    ops::clear(ctx, y);
    ops::linear_gate_activate<Activation::silu, true>(ctx, x, w, up, hidden, other, y);
    made("gated, kept");
    this->report(name + "gate", hidden);
    this->report(name + "up", other);
    ops::last_linear<1>(ctx, x, w, b, y);
    made("last");
    ops::last_linear<1>(ctx, x, w, Nothing{}, onto(base, hidden, y));
    made("onto");
    ops::last_linear<1>(ctx, x, w, b, onto(base, hidden, y));
    made("onto with bias");
    ops::last_linear<1>(ctx, x, w, Nothing{}, onto<false>(base, gate, hidden, y));
    made("onto by a gate");
    ops::last_linear<1>(ctx, x, w, b, onto<true>(base, gates, hidden, y));
    made("onto by gates, kept");
    this->report(name + "branch", hidden);
    ops::copy(ctx, base, y);
    ops::last_linear<1>(ctx, x, w, b, onto<false>(y, gates, hidden, y));
    made("onto by gates, in place");
  }

  void norm() {
    const int N = 7, D = 37;
    const auto x = this->rows(N, D, 11, 1, 3), dy = this->rows(N, D, 12), y = this->blank(N, D), dx = this->blank(N, D);
    const auto scale = this->vector(D, 13), bias = this->vector(D, 14), dscale = this->vector(D, 15),
               dbias = this->vector(D, 16);
    const auto moments = this->template blank<2, A>(N);
    ops::layer_norm(ctx, x, scale, bias, 1e-5f, y, moments);
    ops::layer_norm_backward(ctx, x, moments, scale, dy, dx, dscale, dbias);
    this->report("layer_norm y", y);
    this->report("layer_norm dx", dx);
    this->report("layer_norm dscale", dscale);
    this->report("layer_norm dbias", dbias);
    ops::layer_norm_backward(ctx, x, moments, scale, dy, NoGrad{}, NoGrad{}, dbias);
    this->report("layer_norm dbias alone", dbias);

    ops::rms_norm(ctx, x, scale, 1e-5f, y, moments);
    ops::rms_norm_backward(ctx, x, moments, scale, dy, dx, dscale);
    this->report("rms_norm y", y);
    this->report("rms_norm dx", dx);
    this->report("rms_norm dscale", dscale);
  }

  template <Activation F>
  void activation(const std::string& name) {
    const int N = 5, D = 13;
    const auto x = this->rows(N, D, 21, -5, 9), up = this->rows(N, D, 22), dy = this->rows(N, D, 23),
               y = this->blank(N, D), dx = this->blank(N, D), dup = this->blank(N, D);
    ops::activate<F>(ctx, x, y);
    ops::activate_backward<F>(ctx, x, dy, dx);
    this->report(name + " y", y);
    this->report(name + " dx", dx);
    ops::gate_activate<F>(ctx, x, up, y);
    ops::gate_activate_backward<F>(ctx, x, up, dy, dx, dup);
    this->report(name + " gated y", y);
    this->report(name + " dgate", dx);
    this->report(name + " dup", dup);
    ops::activate_backward<F>(ctx, x, dy, dy);  // in place
    this->report(name + " dx in place", dy);
  }
  void activations() {
    activation<Activation::identity>("identity");
    activation<Activation::gelu>("gelu");
    activation<Activation::gelu_tanh>("gelu_tanh");
    activation<Activation::quick_gelu>("quick_gelu");
    activation<Activation::silu>("silu");
    activation<Activation::relu>("relu");
    activation<Activation::relu6>("relu6");
    activation<Activation::squared_relu>("squared_relu");
  }

  template <int Gates>
  void gates(const std::string& name, int count) {
    const int N = 131, D = 3;  // more rows than one chunk of their sum
    const auto x = this->rows(N, D, 31), branch = this->rows(N, D, 32), dy = this->rows(N, D, 33),
               y = this->blank(N, D), dbranch = this->blank(N, D);
    const auto gate = this->template vector<Gates>(count, 34), dgate = this->template vector<Gates>(count, 35);
    ops::gated_add(ctx, x, gate, branch, y);
    ops::gated_add_backward(ctx, gate, branch, dy, dbranch, dgate);
    this->report(name + " y", y);
    this->report(name + " dbranch", dbranch);
    this->report(name + " dgate", dgate);
  }
  void residual() {
    const auto a = this->rows(5, 7, 36), b = this->rows(5, 7, 37), y = this->blank(5, 7);
    ops::add(ctx, a, b, y);
    this->report("add", y);
    ops::accumulate(ctx, a, b);
    this->report("accumulate", b);
    ops::copy(ctx, a, y);
    this->report("copy", y);
    gates<1>("gate", 1);
    gates<dynamic>("gates", 3);
  }

  void arrange() {
    const int N = 11, V = 5, D = 7;
    const auto table_rows = this->rows(V, D, 41), x = this->rows(N, D, 42), y = this->blank(N, D),
               sum = this->rows(V, D, 43), dtable = this->rows(V, D, 44);
    const std::vector<int> indices{3, 0, 3, 4, 1, 3, 0, 0, 4, 3, 1};  // nobody reads row 2
    const auto index = table(ctx, indices);
    std::vector<Blend> blends;
    for (int n = 0; n < N; ++n)
      blends.push_back({n % 4, n % 3 == 0 ? n % 4 : n % 4 + 1, 0.125f * static_cast<float>(n % 7)});
    const auto places = table(ctx, blends);
    ops::gather(ctx, table_rows, index, y);
    this->report("gather", y);
    const auto placed = this->blank(V, D);
    const std::vector<int> each{4, 0, 3};
    ops::place(ctx, x.slice(2, 3), table(ctx, each), placed);
    this->report("place", placed);
    ops::scatter_add(ctx, x, index, sum);
    this->report("scatter_add", sum);
    ops::blend(ctx, table_rows, places, y);
    this->report("blend", y);
    ops::blend_backward(ctx, x, places, dtable);
    this->report("blend_backward", dtable);

    const auto b = this->rows(N, 3, 45), joined = this->blank(N, D + 3);
    ops::join(ctx, x, b, joined);
    this->report("join", joined);
    ops::clear(ctx, y);
    this->report("clear", y);
    const auto narrow = this->template blank<dynamic, float>(N, D);
    ops::convert(ctx, x, narrow);
    this->report("convert", narrow);
  }

  template <class Position>
  void attention(const std::string& name, int K, bool cached, const Position& position) {
    const AttentionCase<R> c;  // its tables: causal, uniform and missing keys, rows of no span
    const int N = c.N, H = 6, G = 2;
    SpanList list;
    list.spans = c.spans;
    list.segments = c.segments;
    const auto spans = table(ctx, list);
    const AttentionShape shape{.heads = H, .kv_heads = G, .head_dim = K, .scale = 0.4375f};
    const auto q = this->rows(N, H * K, 51), dy = this->rows(N, H * K, 52), y = this->blank(N, H * K),
               dq = this->blank(N, H * K);
    const auto lse = this->template blank<dynamic, A>(N, H);
    std::array<KeyValue<P>, 2> pools;
    std::array<KeyValueGradient<P>, 2> gradients{};
    for (const int i : {0, 1}) {
      const auto at = static_cast<std::size_t>(i);
      const int keys = i ? 17 : 29;  // more than the tables name
      pools[at] = {this->rows(keys, G * K, 53 + static_cast<unsigned>(i)),
                   this->rows(keys, G * K, 55 + static_cast<unsigned>(i))};
      if (!(cached && i == 0)) gradients[at] = {this->blank(keys, G * K), this->blank(keys, G * K)};
    }
    ops::attention(ctx, shape, q, pools, spans, position, y, lse);
    ops::attention_backward(ctx, shape, q, pools, spans, position, y, lse, dy, dq, gradients, NoGrad{});
    this->report(name + " y", y);
    this->report(name + " dq", dq);
    for (const KeyValueGradient<P>& d : gradients) {
      this->report(name + " dk", d.dk);
      this->report(name + " dv", d.dv);
    }
    report_lse(name, lse);
  }
  /// A row without keys has no finite lse to compare.
  void report_lse(const std::string& name, const Rows<P, dynamic, A>& lse) {
    std::vector<A> sums(lse.size());
    download(ctx, lse.data, lse.size(), sums.data());
    for (A& s : sums) s = std::isfinite(s) ? s : s < 0 ? A(-1000) : A(1000);
    this->results.push_back({name + " lse", std::vector<double>(sums.begin(), sums.end())});
  }
  /// A token of each of five sequences, one of which sees its own key alone; row 2 is of none.
  template <class Position>
  void single_rows(const std::string& name, int K, const Position& position) {
    const int N = 6, H = 6, G = 2;
    const AttentionShape shape{.heads = H, .kv_heads = G, .head_dim = K, .scale = 0.4375f};
    SpanList list;
    for (const int n : {4, 0, 1, 5, 3}) {
      const int read = n == 3 ? 0 : 7 + 11 * n;
      list.begin(n, 1, read);
      list.add({.pool = 0, .first = 2 * n, .count = read, .position = 0, .causal = n % 2});
      list.add({.pool = 1, .first = n, .count = 1, .position = read, .causal = 0});
    }
    list.spans[1].uniform = 1;
    const auto spans = table(ctx, list);
    const std::array<KeyValue<P>, 2> pools{
        {{this->rows(77, G * K, 81), this->rows(77, G * K, 82)}, {this->rows(N, G * K, 83), this->rows(N, G * K, 84)}}};
    const auto q = this->rows(N, H * K, 85), y = this->blank(N, H * K), lse = this->template blank<dynamic, A>(N, H);
    ops::attention(ctx, shape, q, pools, spans, position, y, lse);
    this->report(name + " y", y);
    report_lse(name, lse);
  }
  void attentions() {
    const Alibi<P> alibi{{this->put(this->template drawn_numbers<A>(6, 57, 0, 0.5)), {6}}};
    attention("attention", 5, false, NoPosition{});
    attention("attention with slopes", 8, true, alibi);
    attention("attention, wide heads", 37, false, alibi);
    attention("attention, widest heads", 68, false, NoPosition{});
    single_rows("single rows", 32, NoPosition{});
    single_rows("single rows with slopes", 64, alibi);
    single_rows("single rows, wide heads", 75, alibi);
  }
};

template <Platform P>
Results operations() {
  Operations<P> run;
  run.linear();
  run.fused(3);
  run.fused(11);
  run.norm();
  run.activations();
  run.residual();
  run.arrange();
  run.attentions();
  return run.results;
}

}  // namespace flamingo::test
