/// What a model takes, told before it runs: the bytes of its weights, and those of a run by the run's own code on Dry.
///
/// Of Cuda<R> the plan is what the context's arena must hold, beside weights and a batch that lie elsewhere. Not
/// counted are partial sums of gradients of vectors (up to 1 KiB for each feature of a row, on top of what is taken
/// then) and lists of pictures of unequal sizes.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/dry.hpp>
#include <flamingo/infer/engine.hpp>
#include <flamingo/model/config_report.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/train/trainer.hpp>

namespace flamingo {

/// What a run is asked to do.
struct Workload {
  int sequences = 1;
  int tokens = 256;  ///< of each sequence; what is written counts too
  int media = 5;     ///< of each sequence
  int frames = 1;    ///< of each medium
  int image = 0;     ///< pixels along each side of a frame; 0: as the encoder's config says
  int batches = 1;   ///< as large as this that an update of training draws: one of each dataset of a mixture

  template <class Vision>
  constexpr Grid frame(const Vision& c) const {
    return image ? Grid{0, image, image} : Grid{0, c.image, c.image};
  }
};

/// The encoder as it runs while it is frozen.
template <class Vision>
constexpr Vision frozen_encoder(Vision c) {
  if constexpr (requires { c.folded; }) c.folded = true;
  return c;
}

/// A part's weights on one of `devices` that divide them: matrices of attention, feed-forwards and tables are divided
/// along the axis that their layer names (Shoeybi et al. 2019), everything else is on every device.
struct WeightMemory {
  double numbers = 0;  ///< of all weights
  double packed = 0;   ///< bytes of matrices in their format
  double plain = 0;    ///< bytes of vectors and learned rows, which are always numbers
  double bytes() const { return packed + plain; }
};
template <class Layer, Platform P>
WeightMemory weight_memory(Format format, int devices = 1) {
  WeightMemory memory;
  typename Layer::template Parameters<Packed<P>> views{};
  auto add = [&](const Spec& spec, const auto& leaf) {
    const double numbers = static_cast<double>(spec.size()) / (spec.split == Split::none ? 1 : devices);
    memory.numbers += numbers;
    if constexpr (requires { leaf.format; })
      memory.packed += numbers * size_of(format).bytes / size_of(format).numbers +
                       (format == Format::int8 ? numbers / spec.columns * static_cast<double>(sizeof(float)) : 0);
    else
      memory.plain += numbers * static_cast<double>(sizeof(*leaf.data));
  };
  Layer::each(add, views);
  return memory;
}

/// The connector's: the Resampler is on each device, as in the paper; gated and grafted blocks are divided.
template <auto C, Platform P>
WeightMemory connector_memory(Format format, int devices = 1) {
  using Model = model::Flamingo<C, P>;
  WeightMemory all = weight_memory<typename Model::ResamplerLayer, P>(format);
  const auto add = [&](int blocks, const WeightMemory& block) {
    all.numbers += blocks * block.numbers;
    all.packed += blocks * block.packed;
    all.plain += blocks * block.plain;
  };
  add(C.gated_blocks(), weight_memory<typename Model::Gated, P>(format, devices));
  add(C.grafted(), weight_memory<typename Model::Block, P>(format, devices));
  return all;
}

/// Bytes of a run in inference, beside the weights.
struct InferenceMemory {
  double caches = 0;    ///< keys and values of tokens and media, and the media's latents
  double encoding = 0;  ///< scratch of one frame on its way through the encoder, its pixels and its features
  double reading = 0;   ///< scratch: a medium in the Resampler, or all tokens at once in the decoder, and logits

  double most() const { return caches + std::max(encoding, reading); }
};

/// The format of matrices that P reads where they lie.
template <Platform P>
inline constexpr Format own_format = std::is_same_v<typename P::Real, bfloat16> ? Format::bf16 : Format::f32;

namespace detail {
/// Packed weights of which nothing is known but their format.
template <class Layer, Platform P>
typename Layer::template Parameters<Packed<P>> weights_held_in(Format format) {
  typename Layer::template Parameters<Packed<P>> views{};
  auto hold = [format](const Spec&, auto& leaf) {
    if constexpr (requires { leaf.format; }) leaf.format = format;
  };
  Layer::each(hold, views);
  return views;
}
/// A sequence whose media are announced at equal distances.
inline Sequence spread_media(const Workload& w) {
  Sequence s;
  const auto tokens = static_cast<std::size_t>(w.tokens);
  s.ids.assign(tokens, 0);
  s.targets.assign(tokens, 0);
  for (int t = 0; t < w.tokens; ++t) s.phi.push_back(std::min(w.media, 1 + t * w.media / w.tokens));
  s.media = w.media;
  return s;
}
inline void check_workload(const Workload& w) {
  check(w.sequences > 0 && w.tokens > 0 && w.media >= 0 && w.frames > 0 && w.batches > 0, "memory_plan", "got ",
        w.sequences, " sequences of ", w.tokens, " tokens with ", w.media, " media of ", w.frames, " frames in ",
        w.batches, " batches, expected positive numbers");
}
}  // namespace detail

/// Scratch of one frame on its way through the encoder, its pixels and its features. `held` is the matrices' format.
template <auto C, Platform Q>
double encoding_memory(const Workload& w, Format held = own_format<Q>) {
  using P = Dry<Q>;
  using Vision = Encoder<frozen_encoder(C.vision), P>;
  Context<P> ctx;
  const std::array frame{w.frame(C.vision)};
  const auto scope = ctx.scope();
  const auto weights = detail::weights_held_in<Vision, P>(held);
  const auto pixels = scratch<3>(ctx, frame[0].rows());
  const auto features = scratch<Vision::D>(ctx, Vision::features(frame[0]).rows());
  Vision::template forward<no_gradients>(ctx, weights, pixels, frame, features);
  return static_cast<double>(ctx.arena().peak());
}

/// The run: each frame is encoded by itself, then every medium resampled, then all tokens but the last `written` of
/// each sequence are read in one pass, and those one by one. Caches hold numbers of Cached. `held` is the format of the
/// matrices, all of them packed: on Cuda those that do not lie as its numbers are unpacked, one at a time.
template <auto C, Platform Q, class Cached = typename Q::Real>
InferenceMemory inference_memory(const Workload& w, int written = 0, Format held = own_format<Q>) {
  using P = Dry<Q>;
  using Model = model::Flamingo<C, P>;
  using Vision = Encoder<frozen_encoder(C.vision), P>;
  using R = typename P::Real;
  detail::check_workload(w);
  check(written >= 0 && written < w.tokens, "memory_plan", written, " of ", w.tokens, " tokens are written");
  InferenceMemory memory;
  memory.encoding = encoding_memory<C, Q>(w, held);
  const int cells = Vision::features(w.frame(C.vision)).rows();
  Context<P> ctx;
  const auto connector = detail::weights_held_in<typename Model::Connect, P>(held);
  const auto lm = detail::weights_held_in<typename Model::Decoder, P>(held);
  auto engine = make_engine<Model, Cached>(
      ctx, connector, lm, {.text_rows = w.sequences * w.tokens, .media = std::max(1, w.sequences * w.media)});
  const std::size_t caches = ctx.arena().kept();
  memory.caches = static_cast<double>(caches);
  // The engine has room for every distance of the context, and fills some: on the CPU the others take no memory.
  if constexpr (decltype(engine)::relative && std::is_same_v<HostOf<Q>, Q>) {
    const int most = std::min(C.lm.context, w.tokens + 63);
    memory.caches -= static_cast<double>(C.lm.context - most) * C.blocks() * Model::Block::Attend::Q * sizeof(R);
  }
  const auto scope = ctx.scope();
  // An engine knows media by their numbers.
  std::vector<R> features(static_cast<std::size_t>(w.frames * cells * Vision::D));
  Sequence sequence = detail::spread_media(w);
  sequence.ids.resize(static_cast<std::size_t>(w.tokens - written));
  sequence.phi.resize(sequence.ids.size());
  std::vector<TextState> states;
  for (int s = 0; s < w.sequences; ++s) {
    std::vector<CachedMedium> media;
    for (int m = 0; m < w.media; ++m) {
      const std::size_t number = static_cast<std::size_t>(s * w.media + m);
      features[number % features.size()] = R(static_cast<float>(1 + number / features.size()));
      media.push_back(engine.add_medium(
          Rows<P, Vision::D, const R>{features.data(), w.frames * cells, Extent<Vision::D>(Vision::D)}, w.frames, m));
    }
    states.push_back(engine.begin(sequence, media));
  }
  std::vector<TextState*> all;
  for (TextState& state : states) all.push_back(&state);
  engine.next_logits(all);
  for (int t = 1; t < written; ++t) {  // the last token is not read
    for (TextState* state : all) state->append(0);
    engine.next_logits(all);
  }
  memory.reading = static_cast<double>(ctx.arena().peak() - caches);
  return memory;
}

/// Bytes of an update of training, beside weights, gradients and moments.
struct TrainingMemory {
  double activations = 0;  ///< what forward keeps for backward at its most, the pass's features or pixels among it
  double scratch = 0;      ///< at its most
  double drawn = 0;  ///< features or pixels of the update's batches, where they are not those of the pass; the host's

  double most() const { return activations + scratch + drawn; }
};

namespace detail {
/// A batch as large as the workload; as CountedNumbers, features and pixels are counted and not there.
template <auto C, Platform P, TrainedParts parts, class Numbers = CountedNumbers<typename P::Real>>
TrainingBatch<typename P::Real, Numbers> batch_of(const Workload& w) {
  using Model = model::Flamingo<C, P>;
  using Vision = Encoder<frozen_encoder(C.vision), P>;
  const Grid frame = w.frame(C.vision);
  const int rows = w.frames * Vision::features(frame).rows(), M = w.sequences * w.media;
  TrainingBatch<typename P::Real, Numbers> batch;
  for (int m = 0; m < M; ++m) batch.media.push_back({m * rows, rows, w.frames, m % w.media});
  for (int s = 0; s < w.sequences; ++s) {
    batch.sequences.push_back(spread_media(w));
    batch.sequences.back().first_medium = s * w.media;
  }
  if constexpr (parts.vision) {
    for (int f = 0; f < M * w.frames; ++f) batch.pictures.push_back({f * frame.rows(), frame.height, frame.width});
    batch.pixels = Numbers(static_cast<std::size_t>(3 * M * w.frames) * static_cast<std::size_t>(frame.rows()));
  } else {
    batch.features = Numbers(static_cast<std::size_t>(M * rows) * static_cast<std::size_t>(Model::ResamplerLayer::E));
  }
  return batch;
}
}  // namespace detail

/// A pass of the trainer's own, over a batch as large as the workload, in an update that draws as many as it says.
/// `frozen` is the format of a frozen decoder's matrices.
template <auto C, Platform Q, TrainedParts parts = TrainedParts{}>
TrainingMemory training_memory(const Workload& w, const TrainingOptions& options = {}, Format frozen = own_format<Q>) {
  using P = Dry<Q>;
  using Lm = typename DecoderOf<C.lm, P>::template Parameters<Packed<P>>;
  detail::check_workload(w);
  const auto batch = detail::batch_of<C, P, parts>(w);
  Context<P> ctx;
  const Lm lm = detail::weights_held_in<DecoderOf<C.lm, P>, P>(frozen);
  Trainer<C, P, Lm, parts>(ctx, lm, 0, {}, {}, options).pass(batch, 1);
  const double all = static_cast<double>((batch.features.size() + batch.pixels.size()) * sizeof(typename P::Real));
  const int at_once = options.sequences_at_once;
  const bool in_parts = at_once > 0 && at_once < w.sequences;  // a pass has a copy of its part
  const double own = in_parts ? all * at_once / w.sequences : all;
  const auto kept = static_cast<double>(ctx.arena().kept_peak());
  return {own + kept, static_cast<double>(ctx.arena().peak()) - kept, w.batches * all - (in_parts ? 0 : own)};
}

/// The model as one of `devices` that divide heads, hidden features and vocabulary between them sees it.
template <class Vision, class Lm>
  requires requires(const Lm& lm) { lm.head_dim; }
constexpr FlamingoConfig<Vision, Lm> share_of(FlamingoConfig<Vision, Lm> c, int devices) {
  c.xattn.hidden = (c.xattn.hidden ? c.xattn.hidden : c.xattn.widening * c.lm.dim) / devices;
  c.xattn.kv_heads = c.xattn.key_heads() / devices;
  c.xattn.heads /= devices;
  c.lm.head_dim = c.lm.head_size();
  if constexpr (requires { c.lm.hidden_size(); }) c.lm.hidden = c.lm.hidden_size();
  if constexpr (requires { c.lm.kv_heads; }) c.lm.kv_heads /= devices;
  c.lm.heads /= devices;
  c.lm.hidden /= devices;
  c.lm.vocabulary /= devices;
  return c;
}

namespace detail {

/// Of what a run takes, some is on every device and the rest is divided: a + b / n. Known are a + b and a + b / 2.
struct DividedBytes {
  double whole = 0, half = 0;
  double on(int devices) const { return 2 * half - whole + 2 * (whole - half) / devices; }
};

/// A table of bytes: a column for each number of devices.
class PlanTable {
 public:
  explicit PlanTable(std::vector<int> devices) : devices_(std::move(devices)), sums_(devices_.size(), 0) {}

  std::string title(const std::string& what) const {
    std::string text = "// " + what + "\n";
    if (devices_.size() > 1) text += line("on each of so many devices", [](int n) { return std::to_string(n); });
    return text;
  }
  /// bytes(n) on each of n devices, and adds them to the sum.
  template <class F>
  std::string row(const std::string& name, const F& bytes) {
    for (std::size_t i = 0; i < devices_.size(); ++i) sums_[i] += bytes(devices_[i]);
    return alone(name, bytes);
  }
  /// The same without adding them.
  template <class F>
  std::string alone(const std::string& name, const F& bytes) const {
    return line(name, [&](int n) { return bytes_text(bytes(n)); });
  }
  /// The sum so far and bytes(n).
  template <class F>
  std::string sum(const std::string& name, const F& bytes) const {
    std::size_t i = 0;
    return line(name, [&](int n) { return bytes_text(sums_[i++] + bytes(n)); });
  }

 private:
  template <class F>
  std::string line(const std::string& name, const F& cell) const {
    std::string text = "//   " + name + std::string(name.size() < 46 ? 46 - name.size() : 1, ' ');
    for (const int n : devices_) {
      const std::string value = cell(n);
      text += std::string(value.size() < 11 ? 11 - value.size() : 1, ' ') + value;
    }
    return text + "\n";
  }

  std::vector<int> devices_;
  std::vector<double> sums_;
};

inline constexpr std::array<std::pair<std::string_view, Format>, 3> plan_formats{
    {{"float32", Format::f32}, {"bfloat16", Format::bf16}, {"int8", Format::int8}}};

inline std::string text_of(const Workload& w, int side) {
  const std::string pictures = std::to_string(side) + " x " + std::to_string(side);
  return std::to_string(w.sequences) + (w.sequences == 1 ? " sequence" : " sequences") + " of " +
         std::to_string(w.tokens) + " tokens with " + std::to_string(w.media) +
         (w.frames == 1 ? " pictures of " : " videos of " + std::to_string(w.frames) + " frames of ") + pictures;
}

}  // namespace detail

/// What a plan is made for.
struct PlanOptions {
  Workload inference{.tokens = 512}, training{};
  int written = 32;                    ///< of inference's tokens
  std::vector<int> devices{1, 8, 16};  ///< each a number that divides the heads
};

/// The plan as comments of C++, computing in P's numbers. On several devices heads, hidden features and vocabularies
/// are divided; the encoder and the Resampler are on each, as in the paper, and moments are divided among all (ZeRO's
/// first stage).
template <auto C, Platform P>
std::string memory_plan_text(const PlanOptions& options = {}) {
  constexpr auto half = share_of(C, 2);
  using Model = model::Flamingo<C, P>;
  using Vision = Encoder<frozen_encoder(C.vision), P>;
  using detail::DividedBytes;
  const auto frozen_bytes = [&](Format format, int n) {
    return weight_memory<Vision, P>(format).bytes() + weight_memory<typename Model::Decoder, P>(format, n).bytes();
  };
  const auto connector_bytes = [&](Format format, int n) { return connector_memory<C, P>(format, n).bytes(); };
  const auto all_bytes = [&](Format format, int n) { return frozen_bytes(format, n) + connector_bytes(format, n); };
  const auto side = [&](const Workload& w) { return w.frame(C.vision).height; };

  // The workspace is that of int8, the most: nothing lies as numbers then.
  const InferenceMemory one = inference_memory<C, P>(options.inference, options.written, Format::int8),
                        two = inference_memory<half, P>(options.inference, options.written, Format::int8);
  const DividedBytes caches{one.caches, two.caches}, reading{one.reading, two.reading};
  detail::PlanTable use(options.devices);
  std::string text = use.title("Memory for inference: " + detail::text_of(options.inference, side(options.inference)) +
                               ", " + std::to_string(options.written) + " of them written; computing in float32");
  for (const auto& [name, format] : detail::plan_formats)
    text += use.alone("weights as " + std::string(name), [&, f = format](int n) { return all_bytes(f, n); });
  text += use.row("keys, values and latents", [&](int n) { return caches.on(n); });
  text += use.row("workspace: pictures, then all tokens at once",
                  [&](int n) { return std::max(one.encoding, reading.on(n)); });
  for (const auto& [name, format] : detail::plan_formats)
    text += use.sum("all, weights as " + std::string(name), [&, f = format](int n) { return all_bytes(f, n); });

  const TrainingMemory whole = training_memory<C, P>(options.training, {}, Format::int8),
                       shared = training_memory<half, P>(options.training, {}, Format::int8);
  const DividedBytes activations{whole.activations, shared.activations}, scratch{whole.scratch, shared.scratch};
  const double trained = connector_bytes(Format::f32, 1);
  detail::PlanTable update(options.devices);
  text += update.title(
      "Memory for training the connector: " + detail::text_of(options.training, side(options.training)) + " an update");
  for (const auto& [name, format] : detail::plan_formats)
    text +=
        update.alone("frozen weights as " + std::string(name), [&, f = format](int n) { return frozen_bytes(f, n); });
  text += update.row("trained weights as float32", [&](int n) { return connector_bytes(Format::f32, n); });
  text += update.row("gradients as float32", [&](int n) { return connector_bytes(Format::f32, n); });
  text += update.row("optimiser: two moments as float32", [&](int n) { return 2 * trained / n; });
  text += update.row("activations, pictures' features among them", [&](int n) { return activations.on(n); });
  text += update.row("workspace", [&](int n) { return scratch.on(n); });
  for (const auto& [name, format] : detail::plan_formats)
    text += update.sum("all, frozen weights as " + std::string(name),
                       [&, f = format](int n) { return frozen_bytes(f, n); });
  return text;
}

}  // namespace flamingo
