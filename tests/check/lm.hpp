/// Checks of a decoder by itself: hidden states, logits, loss, all gradients, cached steps and decoding.
#pragma once
#include <filesystem>
#include <utility>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/infer/engine.hpp>
#include <flamingo/model/decoders/gpt_neox_names.hpp>
#include <flamingo/model/decoders/llama_names.hpp>
#include <flamingo/model/decoders/mpt_names.hpp>

#include "check/decoding.hpp"

namespace flamingo::test {

inline TensorTable lm_names(const Mpt& c) { return mpt_names(c); }
inline TensorTable lm_names(const GptNeox& c) { return gpt_neox_names(c); }
inline TensorTable lm_names(const Llama& c) { return hugging_face_llama_names(c); }

/// The decoder alone over a ragged batch, everything trained.
template <class Decoder, Platform P>
struct LmRun {
  static constexpr Need need = all_gradients;
  static constexpr int D = Decoder::D, V = Decoder::V + Decoder::A;
  using Real = typename P::Real;

  Store<Decoder, P> gradients;
  std::vector<Tensor<Real>> hidden{};  ///< before each block; the last is after the last norm
  Tensor<Real> logits{1, 1};
  double loss = 0;

  template <class W>
  LmRun(Context<P>& ctx, const W& w, const DecoderPlan& plan) {
    const int N = plan.rows();
    const Positions<P> positions{table(ctx, plan.positions), plan.distances()};
    const auto self = table(ctx, plan.self);
    std::array<typename Decoder::Block::template Saved<need>, Decoder::layers> saved;
    auto x = keep<D>(ctx, N);
    Decoder::embed(ctx, w, table(ctx, plan.ids), x);
    for (std::size_t i = 0; i < Decoder::layers; ++i) {
      remember(x);
      const auto k = keep<Decoder::Block::KV>(ctx, N), v = keep<Decoder::Block::KV>(ctx, N);
      Pools<P> pools;
      pools.add({k, v});
      const auto z = keep<D>(ctx, N);
      saved[i] = Decoder::Block::template forward<need>(ctx, w.blocks[i], x, positions, k, v, pools, self, z);
      x = z;
    }
    logits = Tensor<Real>(N, V);
    Decoder::logits(ctx, w, x, logits.template rows_on<P, V>());
    Tensor<Real> normed(N, D);
    Decoder::NormLayer::template forward<no_gradients>(ctx, w.norm, Decoder::config.epsilon, x,
                                                       normed.template rows_on<P, D>());
    hidden.push_back(normed);

    const int L = static_cast<int>(plan.loss_rows.size());
    const auto rows = keep<D>(ctx, L), drows = keep<D>(ctx, L);
    ops::gather(ctx, x, table(ctx, plan.loss_rows), rows);
    const auto nll = take_vector<AccumulateOf<P>, true>(ctx, L), weights = take_vector<AccumulateOf<P>, true>(ctx, L);
    const auto targets = table(ctx, plan.targets);
    constexpr int chunk = 29;  // no divisor of any vocabulary
    const auto loss_saved = Decoder::template loss<need>(ctx, w, rows, targets, chunk, nll);
    for (int i = 0; i < L; ++i) {
      loss += static_cast<double>(nll.data[i]) / L;
      weights.data[i] = AccumulateOf<P>(1) / AccumulateOf<P>(L);
    }
    Decoder::template loss_backward<need>(ctx, w, loss_saved, targets, chunk, weights, drows, gradients.views);
    auto dx = keep<D>(ctx, N), dnext = keep<D>(ctx, N);
    ops::clear(ctx, dx);
    ops::scatter_add(ctx, drows, table(ctx, plan.loss_rows), dx);
    for (std::size_t i = Decoder::layers; i-- > 0;) {
      Decoder::Block::backward(ctx, w.blocks[i], saved[i], positions, self, dx, dnext, gradients.views.blocks[i]);
      std::swap(dx, dnext);
    }
    Decoder::embed_backward(ctx, table(ctx, plan.ids), dx, gradients.views);
  }

 private:
  void remember(const Rows<P, D>& x) {
    Tensor<Real> copy(x.rows, D);
    std::copy_n(x.data, x.size(), copy.data());
    hidden.push_back(copy);
  }
};

/// A file of transformers' MptForCausalLM, GPTNeoXForCausalLM or LlamaForCausalLM, whose weights are in the folder
/// beside it or in the file itself.
template <auto C, Platform P = Cpu<float>>
Report check_lm(const std::filesystem::path& path) {
  using Model = LanguageModel<C, P>;
  using Decoder = typename Model::Decoder;
  Golden golden(path);
  Store<Decoder, P> lm;
  std::string folder = path.stem().string();
  if (folder.ends_with("_io")) folder.resize(folder.size() - 3);
  if (const auto weights = path.parent_path() / folder / "model.safetensors"; std::filesystem::exists(weights))
    load_numbers<Decoder>(io::Safetensors(weights), lm.views, lm_names(C));
  else
    load_numbers<Decoder>(golden.file, lm.views, lm_names(C).within("", "param."));

  const PaddedBatch batch(golden.file.at("in.input_ids"), golden.ids("in.attention_mask"));
  const auto labels = golden.ids("in.labels");
  std::vector<Sequence> sequences;
  for (std::size_t b = 0; b < batch.sequences.size(); ++b) {
    Sequence s;
    s.ids = batch.sequences[b];
    s.phi.assign(s.ids.size(), 0);
    s.targets = batch.targets(b, labels);
    sequences.push_back(s);
  }
  Context<P> ctx(1);
  {
    const auto kept = ctx.kept_scope();
    const auto scope = ctx.scope();
    const auto plan = DecoderPlan::of(sequences, {}, 1);
    const LmRun<Decoder, P> run(ctx, lm.views, plan);
    for (std::size_t i = 0; i < run.hidden.size(); ++i)
      golden.output("mid.hidden_states." + std::to_string(i), run.hidden[i], batch.places);
    golden.output("out.logits", run.logits, batch.places);
    golden.output("out.loss", Tensor<double>(1, 1, run.loss));
    golden.gradients<Decoder>(run.gradients.views, lm_names(C));
  }

  auto engine = make_engine<Model>(ctx, lm.views);
  std::vector<TextState> prompts;
  for (const Sequence& s : sequences) prompts.push_back(engine.begin(s));
  check_decoding(golden, engine, prompts, static_cast<std::size_t>(batch.length));

  // A row in one pass, and again token by token after a prefix.
  const auto row = golden.ids("in.cache_row");
  Tensor<typename P::Real> whole(static_cast<int>(row.size()), Model::V);
  {
    const auto scope = ctx.scope();
    Sequence s{.ids = row, .phi = std::vector<int>(row.size(), 0)};
    TextState state = engine.begin(s);
    TextState* const one[] = {&state};
    std::vector<int> all(row.size());
    std::iota(all.begin(), all.end(), 0);
    const auto hidden = engine.read(one);
    const auto logits = engine.logits(hidden, all);
    std::copy(logits.begin(), logits.end(), whole.begin());
  }
  golden.output("out.cache_row_full_logits", whole);
  const auto prefill = static_cast<std::ptrdiff_t>(golden.ids("in.prefill")[0]);
  Sequence s{.ids = {row.begin(), row.begin() + prefill}, .phi = {}};
  s.phi.assign(s.ids.size(), 0);
  TextState state = engine.begin(s);
  TextState* const one[] = {&state};
  std::vector<typename P::Real> steps;
  for (auto at = row.begin() + prefill;; ++at) {
    const auto logits = engine.next_logits(one);
    steps.insert(steps.end(), logits.begin(), logits.end());
    if (at == row.end()) break;
    state.append(*at);
  }
  golden.output("out.step_logits", std::span<const typename P::Real>(steps));
  return golden.report;
}

}  // namespace flamingo::test
