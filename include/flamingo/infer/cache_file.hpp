/// Files of what an engine has computed: media, so that no encoder or Resampler runs again, and sequences that were
/// read, such as the shots that many queries share.
///
/// A file says of which config it is, and holds a fingerprint of the weights: numbers that the model makes of a picture
/// and of tokens that are always the same. An engine of another config, or of other weights, refuses it.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/infer/engine.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/config_fields.hpp>

namespace flamingo {

/// Writes and reads the files of one engine. All of it is for the thread that uses the engine.
template <class E>
class CacheFiles {
 public:
  /// `engine` must live longer than this.
  explicit CacheFiles(E& engine) : engine_(engine) {}

  /// Latents of these media, and their keys and values in every gated block.
  void save_media(const std::filesystem::path& path, std::span<const CachedMedium> media) {
    write(path, media, nullptr);
  }
  /// Media in the order in which they were saved. They are found again by add_medium() of the same features too. Throws
  /// Error where the file is another model's or damaged, CacheFull where there is no place for them.
  std::vector<CachedMedium> load_media(const std::filesystem::path& path) {
    const io::Safetensors file(path);
    check_origin(file, false);
    return read_media(file);
  }

  /// A sequence: keys and values of the tokens that it has read, tokens that wait, and its media.
  void save_state(const std::filesystem::path& path, const TextState& state) {
    check(state.rows.of(engine_.text_cache().uses), "cache file", path.string(),
          ": the sequence is another engine's, or begun by none");
    std::vector<CachedMedium> media;  // each once
    for (const CachedMedium& m : state.media)
      if (place_of(media, m) == media.size()) media.push_back(m);
    write(path, media, &state);
  }
  /// The sequence, to go on from or to be copied. Throws as load_media() does.
  TextState load_state(const std::filesystem::path& path) {
    const io::Safetensors file(path);
    check_origin(file, true);
    return read_state(file);
  }

 private:
  using M = typename E::Model;
  using P = typename E::P;
  using Real = typename P::Real;
  using Cached = typename E::CacheReal;
  using Numbers = std::vector<double>;
  static constexpr bool has_media = E::has_media;
  static constexpr std::string_view kind = "flamingo cache 1";
  template <class T>
  static constexpr io::DType dtype = sizeof(T) == 8                ? io::DType::f64
                                     : sizeof(T) == 4              ? io::DType::f32
                                     : std::is_same_v<T, bfloat16> ? io::DType::bf16
                                                                   : io::DType::f16;

  static std::size_t place_of(std::span<const CachedMedium> media, const CachedMedium& m) {
    return static_cast<std::size_t>(
        std::find_if(media.begin(), media.end(), [&](const CachedMedium& other) { return other.is(m); }) -
        media.begin());
  }
  static io::Metadata metadata(bool text) {
    io::Metadata all{{"kind", std::string(kind) + (text ? " sequence" : " media")}};
    if constexpr (has_media) {
      all.emplace_back("resampler", field_text(M::config.resampler));
      all.emplace_back("xattn", field_text(M::config.xattn));
    }
    if (text || !has_media) all.emplace_back("lm", field_text(M::config.lm));
    return all;
  }

  // ---- writing

  /// Calls f(name, rows) for each pool of media, and of text.
  template <class F>
  void each_media_pool(const F& f) {
    if constexpr (has_media) {
      auto& media = engine_.media_cache();
      f("media.latents", media.latents);
      for (std::size_t j = 0; j < M::gated_blocks; ++j) {
        f("media.k." + std::to_string(j), media.k[j]);
        f("media.v." + std::to_string(j), media.v[j]);
      }
    }
  }
  template <class F>
  void each_text_pool(const F& f) {
    auto& text = engine_.text_cache();
    for (std::size_t i = 0; i < M::all_blocks; ++i) {
      f("text.k." + std::to_string(i), text.k[i]);
      f("text.v." + std::to_string(i), text.v[i]);
    }
  }

  /// Tensors of a file: those that are little as a whole, and rows of pools, copied from there when they are written.
  struct Contents {
    std::vector<io::TensorInfo> infos;
    std::vector<std::vector<std::byte>> whole;

    template <class T>
    void add(std::string name, io::DType type, const std::vector<T>& numbers) {
      infos.push_back({std::move(name), type, {static_cast<std::int64_t>(numbers.size())}});
      const auto bytes = std::as_bytes(std::span(numbers));
      whole.emplace_back(bytes.begin(), bytes.end());
    }
  };
  void write(const std::filesystem::path& path, std::span<const CachedMedium> media, const TextState* state) {
    Contents contents;
    contents.add("fingerprint", io::DType::f64, connector_fingerprint());
    if constexpr (has_media) {
      std::vector<std::int64_t> keys;
      std::vector<std::int32_t> rows;
      for (const CachedMedium& m : media) {
        keys.push_back(std::bit_cast<std::int64_t>(engine_.media_cache().key_of(m)));
        rows.push_back(m.rows());
      }
      contents.add("media.keys", io::DType::i64, keys);
      contents.add("media.rows", io::DType::i32, rows);
    }
    if (state) {
      std::vector<std::int32_t> places;
      for (const CachedMedium& m : state->media) places.push_back(static_cast<std::int32_t>(place_of(media, m)));
      contents.add("state.read_ids", io::DType::i32, state->read_ids);
      contents.add("state.ids", io::DType::i32, state->ids);
      contents.add("state.phi", io::DType::i32, state->phi);
      contents.add("state.media", io::DType::i32, places);
      contents.add("state.runs", io::DType::i32, state->runs);
      contents.add("state.numbers", io::DType::i64,
                   std::vector<std::int64_t>{state->after_tag, state->last_phi, state->closed,
                                             std::bit_cast<std::int64_t>(state->stream)});
      contents.add("fingerprint.lm", io::DType::f64, lm_fingerprint(state->read_ids));
    }
    std::vector<io::TensorInfo> infos = contents.infos;
    const auto declare = [&](std::string name, const auto& pool, std::int64_t count) {
      using T = typename std::remove_cvref_t<decltype(pool)>::Element;
      infos.push_back({std::move(name), dtype<T>, {count, int(pool.width)}});
    };
    each_media_pool([&](std::string name, const auto& pool) {
      declare(std::move(name), pool, static_cast<std::int64_t>(media.size()) * rows_of_medium());
    });
    if (state) each_text_pool([&](std::string name, const auto& pool) { declare(name, pool, state->rows.count()); });

    io::SafetensorsWriter writer(path, std::move(infos), metadata(state != nullptr));
    std::size_t at = 0;
    for (const auto& bytes : contents.whole) writer.write(at++, bytes);
    const auto copy = [&](const auto& pool, int first, int count) {
      const auto seen = host_copy(engine_.context(), pool.slice(first, count));
      writer.write(at, std::as_bytes(std::span(seen.data(), seen.size())));
    };
    each_media_pool([&](const std::string&, const auto& pool) {
      for (const CachedMedium& m : media) copy(pool, m.place() * rows_of_medium(), rows_of_medium());
      ++at;
    });
    if (state)
      each_text_pool([&](const std::string&, const auto& pool) {
        for (const RowRun& run : state->rows.runs()) copy(pool, run.first, run.count);
        ++at;
      });
    writer.commit();
  }
  static constexpr int rows_of_medium() {
    if constexpr (has_media)
      return M::R;
    else
      return 0;
  }

  // ---- reading

  void check_origin(const io::Safetensors& file, bool text) {
    for (const auto& [name, compiled] : metadata(text)) {
      const auto found = std::find_if(file.metadata().begin(), file.metadata().end(),
                                      [&, &key = name](const auto& entry) { return entry.first == key; });
      check(found != file.metadata().end(), "cache file", file.path().string(), ": its metadata have no '", name,
            "': it holds no cached ", text ? "sequence" : "media");
      check(found->second == compiled, "cache file", file.path().string(), ": its ", name, " is ", found->second,
            ", expected ", compiled);
    }
    if constexpr (has_media) check_dtype(file, "media.k.0");
    if (text) check_dtype(file, "text.k.0");
    check_fingerprint<Real>(file, "fingerprint", connector_fingerprint());
    if (text)
      check_fingerprint<Cached>(file, "fingerprint.lm", lm_fingerprint(numbers<std::int32_t>(file, "state.read_ids")));
  }
  /// Before fingerprints: that of the decoder differs too where caches hold other numbers.
  static void check_dtype(const io::Safetensors& file, std::string_view name) {
    const io::DType found = file.at(name).dtype;
    check(found == dtype<Cached>, "cache file", file.path().string(), ": '", name, "' is ", found, ", expected ",
          dtype<Cached>, ", which this engine's caches hold");
  }
  /// T: the narrowest numbers on the way to it.
  template <class T>
  static void check_fingerprint(const io::Safetensors& file, std::string_view name, const Numbers& own) {
    const auto found = numbers<double>(file, name);
    check(found.size() == own.size(), "cache file", file.path().string(), ": its ", name, " has ", found.size(),
          " numbers, expected ", own.size());
    // The same weights differ by roundings where another machine computed.
    constexpr double roundings = sizeof(T) < 4 ? 0.03 : 1e-4;
    for (std::size_t i = 0; i < own.size(); ++i)
      check(std::abs(found[i] - own[i]) <= roundings, "cache file", file.path().string(),
            ": it was made by other weights: number ", i, " of its ", name, " is ", found[i], ", expected ", own[i]);
  }

  template <class T>
  static std::vector<T> numbers(const io::Safetensors& file, std::string_view name) {
    constexpr io::DType type = std::is_same_v<T, double>         ? io::DType::f64
                               : std::is_same_v<T, std::int64_t> ? io::DType::i64
                                                                 : io::DType::i32;
    const io::TensorView& tensor = file.at(name);
    check(tensor.dtype == type && tensor.shape.size() == 1, "cache file", file.path().string(), ": '", name, "' is ",
          tensor.dtype, ' ', io::shape_text(tensor.shape), ", expected a list of ", type);
    std::vector<T> values(tensor.bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    return values;
  }
  /// Rows of a tensor, `first` of it and those after, into rows of a pool.
  template <class Pool>
  void fill(const io::Safetensors& file, const std::string& name, std::int64_t total, int first, const Pool& to) {
    using T = typename Pool::Element;
    const io::TensorView& tensor = file.at(name);
    const std::vector<std::int64_t> expected{total, int(to.width)};
    check(tensor.dtype == dtype<T> && tensor.shape == expected, "cache file", file.path().string(), ": '", name,
          "' is ", tensor.dtype, ' ', io::shape_text(tensor.shape), ", expected ", dtype<T>, ' ',
          io::shape_text(expected));
    std::vector<T> values(to.size());
    if (values.empty()) return;
    const std::size_t row = static_cast<std::size_t>(int(to.width)) * sizeof(T);
    std::memcpy(static_cast<void*>(values.data()), tensor.bytes.data() + static_cast<std::size_t>(first) * row,
                values.size() * sizeof(T));
    upload(engine_.context(), values.data(), values.size(), to.data);
  }
  std::vector<CachedMedium> read_media(const io::Safetensors& file) {
    std::vector<CachedMedium> media;
    if constexpr (has_media) {
      const auto keys = numbers<std::int64_t>(file, "media.keys");
      const auto rows = numbers<std::int32_t>(file, "media.rows");
      check(keys.size() == rows.size(), "cache file", file.path().string(), ": it has ", keys.size(),
            " media.keys and ", rows.size(), " media.rows");
      const auto total = static_cast<std::int64_t>(keys.size()) * M::R;
      for (std::size_t m = 0; m < keys.size(); ++m) {
        check(rows[m] > 0 && rows[m] <= M::R, "cache file", file.path().string(), ": medium ", m, " has ", rows[m],
              " rows to be seen, expected 1 to ", M::R);
        media.push_back(engine_.media_cache().get(std::bit_cast<std::uint64_t>(keys[m]), rows[m], [&](int place) {
          each_media_pool([&](const std::string& name, const auto& pool) {
            fill(file, name, total, static_cast<int>(m) * M::R, pool.slice(place * M::R, M::R));
          });
        }));
      }
    }
    return media;
  }
  TextState read_state(const io::Safetensors& file) {
    const std::vector<CachedMedium> media = read_media(file);
    const auto where = file.path().string();
    const auto check_all = [&](const auto& list, std::string_view name, int low, std::size_t end) {
      for (const std::int32_t x : list)
        check(x >= low && x < static_cast<std::int64_t>(end), "cache file", where, ": ", name, " has ", x,
              ", expected ", low, " to ", static_cast<std::int64_t>(end) - 1);
    };
    TextState state;
    state.read_ids = numbers<std::int32_t>(file, "state.read_ids");
    state.ids = numbers<std::int32_t>(file, "state.ids");
    state.phi = numbers<std::int32_t>(file, "state.phi");
    state.runs = numbers<std::int32_t>(file, "state.runs");
    const auto places = numbers<std::int32_t>(file, "state.media");
    const auto others = numbers<std::int64_t>(file, "state.numbers");
    const auto count = static_cast<int>(state.read_ids.size());
    check(others.size() == 4 && state.ids.size() == state.phi.size() && state.runs.size() <= places.size() &&
              state.read_ids.size() + state.ids.size() <= static_cast<std::size_t>(E::context_size),
          "cache file", where, ": it is no sequence: ", count, " tokens read, ", state.ids.size(), " with ",
          state.phi.size(), " φ that wait, ", state.runs.size(), " runs of ", places.size(), " media, ", others.size(),
          " other numbers");
    const auto ids = static_cast<std::size_t>(read_ids(M::config.lm));
    check_all(state.read_ids, "state.read_ids", 0, ids);
    check_all(state.ids, "state.ids", 0, ids);
    check_all(state.phi, "state.phi", 0, places.size() + 1);
    check_all(state.runs, "state.runs", 0, places.size());
    check_all(places, "state.media", 0, media.size());
    check(others[1] >= 0 && others[1] <= static_cast<std::int64_t>(places.size()) && others[2] >= -1 &&
              others[2] <= static_cast<std::int64_t>(places.size()),
          "cache file", where, ": its last φ are ", others[1], " and ", others[2], " of ", places.size(), " media");
    for (const std::int32_t place : places) state.media.push_back(media[static_cast<std::size_t>(place)]);
    state.after_tag = others[0] != 0;
    state.last_phi = static_cast<int>(others[1]);
    state.closed = static_cast<int>(others[2]);
    state.stream = std::bit_cast<std::uint64_t>(others[3]);
    state.rows = CacheRows::take_after(engine_.text_cache().uses, -1, count);
    each_text_pool([&](const std::string& name, const auto& pool) {
      int first = 0;
      for (const RowRun& run : state.rows.runs()) {
        fill(file, name, count, first, pool.slice(run.first, run.count));
        first += run.count;
      }
    });
    return state;
  }

  // ---- which model

  /// One number of rows: their sum with random weights, against their length.
  template <class X>
  double number_of(const X& x) {
    Random random(1, 2);
    double sum = 0, squares = 0;
    for (const auto value : host_copy(engine_.context(), x)) {
      const double v = static_cast<double>(static_cast<AccumulateOf<P>>(value));
      sum += static_cast<double>(random.normal()) * v;
      squares += v * v;
    }
    return squares > 0 ? sum / std::sqrt(squares) : 0;
  }
  /// Of the latents of a picture that is always the same, and of their keys and values in each gated block. Computed
  /// once.
  const Numbers& connector_fingerprint() {
    if constexpr (has_media)
      if (connector_.empty()) {
        using Resampler = typename M::ResamplerLayer;
        Context<P>& ctx = engine_.context();
        const auto scope = ctx.scope();
        const auto kept = ctx.kept_scope();
        Random random(3, 4);
        std::vector<Real> drawn(static_cast<std::size_t>(M::R) * static_cast<std::size_t>(Resampler::E));
        for (Real& x : drawn) x = static_cast<Real>(random.normal());
        const auto features = scratch<Resampler::E>(ctx, M::R);
        upload(ctx, drawn.data(), drawn.size(), features.data);
        const std::array medium{Medium{0, M::R, 1, 0}};
        const ResamplerPlan plan = ResamplerPlan::of(M::config.resampler, medium);
        const auto latents = scratch<M::E>(ctx, M::R);
        Resampler::template forward<no_gradients>(ctx, engine_.connector().resampler, features, plan, latents);
        connector_.push_back(number_of(latents));
        for (const auto& gated : engine_.connector().gated) {
          const auto k = scratch<M::Gated::KV>(ctx, M::R), v = scratch<M::Gated::KV>(ctx, M::R);
          M::Gated::template project<no_gradients>(ctx, gated, latents, k, v);
          connector_.push_back(number_of(k));
          connector_.push_back(number_of(v));
        }
      }
    return connector_;
  }
  /// Of the hidden rows of some of these tokens, read by themselves.
  Numbers lm_fingerprint(std::span<const int> ids) {
    std::vector<int> some(ids.begin(), ids.end());
    std::sort(some.begin(), some.end());
    some.erase(std::unique(some.begin(), some.end()), some.end());
    const std::size_t most = std::min<std::size_t>({16, some.size(), static_cast<std::size_t>(E::context_size)});
    Sequence sequence;
    for (std::size_t i = 0; i < most; ++i) sequence.ids.push_back(some[i * some.size() / most]);
    if (sequence.ids.empty()) sequence.ids = {0};
    const auto scope = engine_.context().scope();
    const TextState state = engine_.begin(sequence);
    const NewTokens piece[] = {{&state, state.ids, state.phi, {}}};
    const auto result = engine_.forward(piece);
    Numbers all;
    for (int t = 0; t < result.hidden.rows; ++t) all.push_back(number_of(result.hidden.slice(t, 1)));
    return all;
  }

  E& engine_;
  Numbers connector_;
};

}  // namespace flamingo
