/// The mean of a run's weights along the way (Polyak & Juditsky 1992), exponential where a run is long: what is tested
/// and kept in place of the last ones.
///
///   mean += max(1 - decay, 1 / t) (weights - mean) after update t: at first the plain mean of all weights so far
#pragma once
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/core/store.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/weights.hpp>
#include <flamingo/ops/adamw.hpp>

namespace flamingo {

/// As much memory as the weights.
template <class Layer, Platform P, class T = AccumulateOf<P>>
class WeightAverage {
 public:
  explicit WeightAverage(double decay = 0.999) : decay_(decay) {
    check(decay >= 0 && decay < 1, "average", "decay is ", decay, ", expected 0 or more and less than 1");
  }

  /// After each update.
  void follow(Context<P>& ctx, const Store<Layer, P, T>& weights) {
    const double share = std::max(1 - decay_, 1 / static_cast<double>(++steps_));
    for (std::size_t at = 0; at < weights.flat.size(); at += most_at_once) {
      const int size = static_cast<int>(std::min(most_at_once, weights.flat.size() - at));
      ops::follow<P, T>(ctx, share, {weights.flat.data() + at, {size}}, {mean.flat.data() + at, {size}});
    }
  }
  long steps() const { return steps_; }

  Store<Layer, P, T> mean;

  /// Writes the mean under the parameters' own names, how many updates it followed, and the run's step, beside the
  /// file, and renames it.
  void save(Context<P>& ctx, const std::filesystem::path& path, long step, io::Metadata metadata = {}) const {
    const auto& host = host_copy(ctx, mean);
    TensorWriter writer(std::is_same_v<T, double> ? io::DType::f64 : io::DType::f32);
    writer.add<Layer>(host.views);
    metadata.emplace_back("followed", std::to_string(steps_));
    metadata.emplace_back("step", std::to_string(step));
    writer.save(path, metadata);
  }
  /// Goes on from what save() wrote at the step that the run's checkpoint is of. Throws Error, with everything as it
  /// was, where the file does not fit, or is of another step.
  void load(const std::filesystem::path& path, long step) {
    const io::Safetensors file(path);
    const long followed = number_of(file, "followed", "how many updates it");
    const long saved = number_of(file, "step", "of which");
    check(saved == step, "average", path.string(), " is of step ", saved, ", the run is at ", step);
    Store<Layer, HostOf<P>, T> host;
    load_numbers<Layer>(file, host.views);
    mean = Store<Layer, P, T>(std::move(host.flat));
    steps_ = followed;
  }

 private:
  /// A number of the file's metadata.
  static long number_of(const io::Safetensors& file, std::string_view name, const char* what) {
    long number = -1;
    for (const auto& [key, value] : file.metadata())
      if (key == name) {
        const char* const end = value.data() + value.size();
        if (std::from_chars(value.data(), end, number).ptr != end) number = -1;
      }
    check(number >= 0, "average", file.path().string(), " does not say ", what, " '", name, "'");
    return number;
  }

  double decay_;
  long steps_ = 0;
};

}  // namespace flamingo
