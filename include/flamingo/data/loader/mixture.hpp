/// Several datasets, one loader each: their positions as one value, and draws among them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/data/loader/loader.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

/// The datasets of a training run. A trainer that accumulates gradients takes a batch of each for an update, as the
/// paper does; draw() is for those that take one dataset at a time.
class Mixture {
 public:
  /// `weight`: the share of draws. Throws Error where the name is taken or the weight is below 0.
  Loader& add(std::unique_ptr<Loader> loader, double weight = 1) {
    for (const Dataset& other : datasets_)
      check(other.loader->options().name != loader->options().name, "mixture", "two datasets are named ",
            loader->options().name);
    check(weight >= 0, "mixture", "the weight of ", loader->options().name, " is ", weight, ", expected 0 or more");
    datasets_.push_back({std::move(loader), weight});
    return *datasets_.back().loader;
  }

  std::size_t size() const { return datasets_.size(); }
  Loader& operator[](std::size_t dataset) { return *datasets_.at(dataset).loader; }
  Loader& operator[](std::string_view name) {
    for (Dataset& dataset : datasets_)
      if (dataset.loader->options().name == name) return *dataset.loader;
    fail("mixture", "there is no dataset named ", name);
  }

  /// The dataset of an update, drawn by the weights: a function of seed and step.
  std::size_t draw(std::uint64_t seed, std::int64_t step) const {
    double sum = 0;
    for (const Dataset& dataset : datasets_) sum += dataset.weight;
    check(sum > 0, "mixture", "no dataset has a weight");
    double left = sum * Random(seed ^ hash("draws of a mixture"), static_cast<std::uint64_t>(step)).bits() * 0x1p-32;
    for (std::size_t d = 0; d < datasets_.size(); ++d)
      if (datasets_[d].weight > 0 && (left -= datasets_[d].weight) < 0) return d;
    fail("mixture", "a draw fell behind the weights");
  }

  /// Every loader's position, by name: what a checkpoint keeps.
  io::Json state() {
    io::Json::Object state;
    for (Dataset& dataset : datasets_) state.push_back({dataset.loader->options().name, dataset.loader->state()});
    return state;
  }
  /// Throws Error where a dataset's state is missing or another one's. A dataset that is new begins at its beginning
  /// only where `allow_new` says so.
  void restore(const io::Json& state, bool allow_new = false) {
    for (Dataset& dataset : datasets_) {
      const io::Json* own = state.find(dataset.loader->options().name);
      check(own != nullptr || allow_new, "mixture", "the state has no dataset named ", dataset.loader->options().name);
      if (own != nullptr) dataset.loader->restore(*own);
    }
  }

 private:
  struct Dataset {
    std::unique_ptr<Loader> loader;
    double weight = 1;
  };
  std::vector<Dataset> datasets_;
};

}  // namespace flamingo
