/// What a training run needs to go on, in one file: a layer's weights, its moments and the step.
#pragma once
#include <charconv>
#include <filesystem>
#include <string>
#include <utility>

#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/weights.hpp>
#include <flamingo/train/optimizer.hpp>

namespace flamingo {

namespace detail {
/// Our names after a prefix.
inline TensorTable after(std::string prefix) {
  return {[prefix](std::string_view name) { return prefix + std::string(name); }};
}
template <class Layer, Platform P, class T, class Moments>
void write_state(const std::filesystem::path& path, const Store<Layer, P, T>& weights, const Moments& first,
                 const Moments& second, long steps, io::Metadata metadata) {
  TensorWriter writer(std::is_same_v<AccumulateOf<P>, double> ? io::DType::f64 : io::DType::f32);
  writer.add<Layer>(weights.views, after("weights."));
  writer.add<Layer>(first.views, after("first."));
  writer.add<Layer>(second.views, after("second."));
  metadata.emplace_back("step", std::to_string(steps));
  writer.save(path, metadata);
}
}  // namespace detail

/// Writes everything at full precision, beside the file, and renames it. `metadata` tells what the tensors do not show.
/// The context brings what P has in memory of its own.
template <class Layer, Platform P>
void save_state(Context<P>& ctx, const std::filesystem::path& path, const Store<Layer, P, AccumulateOf<P>>& weights,
                const Optimizer<Layer, P>& optimizer, io::Metadata metadata = {}) {
  detail::write_state(path, host_copy(ctx, weights), host_copy(ctx, optimizer.first), host_copy(ctx, optimizer.second),
                      optimizer.steps(), std::move(metadata));
}
/// The same where the host reads P's memory.
template <class Layer, Platform P>
  requires std::is_same_v<HostOf<P>, P>
void save_state(const std::filesystem::path& path, const Store<Layer, P, AccumulateOf<P>>& weights,
                const Optimizer<Layer, P>& optimizer, io::Metadata metadata = {}) {
  detail::write_state(path, weights, optimizer.first, optimizer.second, optimizer.steps(), std::move(metadata));
}

/// Reads what save_state() wrote; returns the step to go on after. Throws Error, with everything as it was, where a
/// tensor is missing or of another shape, or where the file says something else than `metadata`.
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
  Store<Layer, HostOf<P>, AccumulateOf<P>> new_weights, first, second;
  load_numbers<Layer>(file, new_weights.views, detail::after("weights."));
  load_numbers<Layer>(file, first.views, detail::after("first."));
  load_numbers<Layer>(file, second.views, detail::after("second."));
  using Numbers = Store<Layer, P, AccumulateOf<P>>;  // all that may fail comes before anything is changed
  Numbers own_weights(std::move(new_weights.flat)), own_first(std::move(first.flat)),
      own_second(std::move(second.flat));
  weights = std::move(own_weights);
  optimizer.first = std::move(own_first);
  optimizer.second = std::move(own_second);
  optimizer.set_steps(step);
  return step;
}

}  // namespace flamingo
