/// What a training run needs to go on, in one file: a layer's weights, its moments and the step.
#pragma once
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/weights.hpp>
#include <flamingo/train/data_parallel.hpp>
#include <flamingo/train/optimizer.hpp>

namespace flamingo {

namespace detail {
/// Our names after a prefix.
inline TensorTable after(std::string prefix) {
  return {[prefix](std::string_view name) { return prefix + std::string(name); }};
}
/// Moments as tensors of a file, under our names after a prefix: of few bits in bfloat16, which tells each exactly.
template <class Layer, Platform P, class T>
struct MomentTensors {
  static io::DType dtype(MomentFormat format) {
    return format != MomentFormat::full ? io::DType::bf16 : std::is_same_v<T, double> ? io::DType::f64 : io::DType::f32;
  }
  static void add(MomentFormat format, const std::string& prefix, std::vector<io::TensorInfo>& infos) {
    auto one = [&](const Spec& spec) {
      std::vector<std::int64_t> shape{spec.columns};
      if (spec.role != Role::vector) shape.insert(shape.begin(), spec.rows);
      infos.push_back({prefix + std::string(spec.name), dtype(format), std::move(shape)});
    };
    Layer::each(one);
  }
  /// Writes them as tensors from number `next` on. read(at, count) gives some of the flat buffer's.
  template <class Read>
  static void write(MomentFormat format, const Read& read, io::SafetensorsWriter& file, std::size_t& next) {
    std::size_t at = 0;
    auto one = [&](const Spec& spec) {
      const std::vector<T> numbers = read(at, flat_size(spec));
      at += flat_size(spec);
      if (format == MomentFormat::full) {
        file.write(next++, std::as_bytes(std::span(numbers).first(spec.size())));
      } else {
        std::vector<bfloat16> halves;
        for (std::size_t i = 0; i < spec.size(); ++i) halves.push_back(bfloat16(static_cast<float>(numbers[i])));
        file.write(next++, std::as_bytes(std::span(halves)));
      }
    };
    Layer::each(one);
  }
  /// Calls put(at, numbers) for each parameter's moments of a file that check_state() let pass.
  template <class Put>
  static void read(const io::Safetensors& file, const std::string& prefix, const Put& put) {
    const TensorTable table = after(prefix);
    std::size_t at = 0;
    auto one = [&](const Spec& spec) {
      const TensorPlace place = table.place(spec);
      std::vector<T> numbers(flat_size(spec));
      PlacedRows<T>(*file.find(place.name), spec, place).read_all(numbers.data());
      put(at, std::span<const T>(numbers));
      at += flat_size(spec);
    };
    Layer::each(one);
  }
};

/// Throws unless a file has all tensors of a state, so that they can be read over what there is.
template <class Layer>
void check_state(const io::Safetensors& file) {
  LoadReport found(file.path().string());
  for (const char* prefix : {"weights.", "first.", "second."}) {
    const TensorTable table = after(prefix);
    auto one = [&](const Spec& spec) {
      const io::TensorView* tensor = found.find(file, spec, table.place(spec));
      check(!tensor || tensor->dtype == io::DType::f32 || tensor->dtype == io::DType::f64 ||
                tensor->dtype == io::DType::bf16,
            "state", file.path().string(), ": '", tensor ? tensor->name : "", "' is ",
            tensor ? tensor->dtype : io::DType::f32, ", expected f32, f64 or bf16");
    };
    Layer::each(one);
  }
  found.finish();
}

template <class Layer, Platform P, class Read>
void write_state(Context<P>& ctx, const std::filesystem::path& path, const Store<Layer, P, AccumulateOf<P>>& weights,
                 const Optimizer<Layer, P>& optimizer, io::Metadata metadata, const Read& first, const Read& second) {
  using Tensors = MomentTensors<Layer, P, AccumulateOf<P>>;
  const auto& host_weights = host_copy(ctx, weights);
  const MomentFormat format = optimizer.first.format();
  TensorWriter writer(std::is_same_v<AccumulateOf<P>, double> ? io::DType::f64 : io::DType::f32);
  writer.add<Layer>(host_weights.views, after("weights."));
  std::vector<io::TensorInfo> infos = writer.infos();
  const std::size_t weight_tensors = infos.size();
  Tensors::add(format, "first.", infos);
  Tensors::add(format, "second.", infos);
  metadata.emplace_back("step", std::to_string(optimizer.steps()));
  io::SafetensorsWriter file(path, std::move(infos), metadata);
  std::size_t next = 0;
  while (next < weight_tensors) {
    const auto bytes = writer.bytes(next);
    file.write(next++, bytes);
  }
  Tensors::write(format, first, file, next);
  Tensors::write(format, second, file, next);
  file.commit();
}
}  // namespace detail

/// Writes everything as exactly as it is held, beside the file, and renames it. `metadata` tells what the tensors do
/// not show. The context brings what P has in memory of its own. Of several processes each calls it; the first writes
/// one file, as if there were no others, and all return when it is there.
template <class Layer, Platform P>
void save_state(Context<P>& ctx, const std::filesystem::path& path, const Store<Layer, P, AccumulateOf<P>>& weights,
                const Optimizer<Layer, P>& optimizer, io::Metadata metadata = {},
                const DataParallel<Layer, P>& parallel = {}) {
  using A = AccumulateOf<P>;
  if (!parallel.divided()) {
    const auto reader = [&ctx](const MomentStore<P, A>& moments) {
      return [&ctx, &moments](std::size_t at, std::size_t count) { return moments.read(ctx, at, count); };
    };
    if (parallel.writes())
      detail::write_state(ctx, path, weights, optimizer, std::move(metadata), reader(optimizer.first),
                          reader(optimizer.second));
  } else {
    const auto first = parallel.whole(ctx, optimizer.first), second = parallel.whole(ctx, optimizer.second);
    const auto reader = [](const std::vector<A>& all) {
      return [&all](std::size_t at, std::size_t count) {
        const A* const from = all.data() + at;
        return std::vector<A>(from, from + count);
      };
    };
    if (parallel.writes())
      detail::write_state(ctx, path, weights, optimizer, std::move(metadata), reader(first), reader(second));
  }
  parallel.meet();
}
/// The same where the host reads P's memory.
template <class Layer, Platform P>
  requires std::is_same_v<HostOf<P>, P>
void save_state(const std::filesystem::path& path, const Store<Layer, P, AccumulateOf<P>>& weights,
                const Optimizer<Layer, P>& optimizer, io::Metadata metadata = {}) {
  Context<P> ctx(1, 64);
  save_state(ctx, path, weights, optimizer, std::move(metadata));
}

/// Reads what save_state() wrote; returns the step to go on after. The optimiser keeps its own format of moments; those
/// of another are rounded to it. No second copy is made of what the host holds. Throws Error, with everything as it
/// was, where a tensor is missing or of another shape, or where the file says something else than `metadata`.
template <class Layer, Platform P>
long load_state(const std::filesystem::path& path, Store<Layer, P, AccumulateOf<P>>& weights,
                Optimizer<Layer, P>& optimizer, const io::Metadata& metadata = {}) {
  const io::Safetensors file(path);
  long step = -1;
  for (const auto& [key, value] : file.metadata()) {
    for (const auto& [name, expected] : metadata)
      check(key != name || value == expected, "state", path.string(), ": its ", name, " is ", value, ", expected ",
            expected);
    if (key != "step") continue;
    const char* end = value.data() + value.size();
    const auto [at, error] = std::from_chars(value.data(), end, step);
    check(error == std::errc{} && at == end && step >= 0, "state", path.string(), ": its step is '", value,
          "', expected a number of steps");
  }
  check(step >= 0, "state", path.string(), " has no 'step' in its metadata");
  detail::check_state<Layer>(file);  // all that may fail; what follows takes the place of what there is
  using A = AccumulateOf<P>;
  if constexpr (std::is_same_v<HostOf<P>, P>) {
    load_numbers<Layer>(file, weights.views, detail::after("weights."));
  } else {
    Store<Layer, HostOf<P>, A> host;
    load_numbers<Layer>(file, host.views, detail::after("weights."));
    weights = Store<Layer, P, A>(std::move(host.flat));
  }
  optimizer.set_moments([&](int which, const auto& put) {
    detail::MomentTensors<Layer, P, A>::read(file, which == 0 ? "first." : "second.", put);
  });
  optimizer.set_steps(step);
  return step;
}

}  // namespace flamingo
