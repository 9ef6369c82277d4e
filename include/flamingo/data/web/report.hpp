/// What became of pages and pictures: a count for each rule, with samples that one can look at.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/io/json.hpp>

namespace flamingo::web {

/// Counts by the rule that decided; "kept" counts what passed. Merged in a fixed order, reports of parts are the report
/// of the whole.
class Tallies {
 public:
  static constexpr std::size_t most_samples = 8;

  /// One more for a rule; `sample` tells which one.
  void add(std::string_view rule, std::string_view sample) {
    Tally& tally = at(rule);
    ++tally.count;
    if (tally.samples.size() < most_samples) tally.samples.emplace_back(sample);
  }
  void take_back(std::string_view rule, std::uint64_t count = 1) { at(rule).count -= count; }
  void add(const Tallies& other) {
    for (const Tally& tally : other.tallies_) {
      Tally& own = at(tally.rule);
      own.count += tally.count;
      for (const std::string& sample : tally.samples)
        if (own.samples.size() < most_samples) own.samples.push_back(sample);
    }
  }
  std::uint64_t count(std::string_view rule) const {
    for (const Tally& tally : tallies_)
      if (tally.rule == rule) return tally.count;
    return 0;
  }
  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const Tally& tally : tallies_) sum += tally.count;
    return sum;
  }

  io::Json json() const {
    io::Json::Object rules;
    for (const Tally& tally : tallies_) {
      io::Json::Array samples(tally.samples.begin(), tally.samples.end());
      rules.push_back({tally.rule, io::Json::Object{{"count", static_cast<std::int64_t>(tally.count)},
                                                    {"samples", std::move(samples)}}});
    }
    return rules;
  }
  static Tallies of(const io::Json& json) {
    Tallies tallies;
    for (const io::JsonMember& rule : json.as_object()) {
      Tally& tally = tallies.at(rule.name);
      tally.count = static_cast<std::uint64_t>(rule.value.at("count").as_integer());
      for (const io::Json& sample : rule.value.at("samples").as_array()) tally.samples.push_back(sample.as_string());
    }
    return tallies;
  }

 private:
  struct Tally {
    std::string rule;
    std::uint64_t count = 0;
    std::vector<std::string> samples{};
  };

  /// In alphabetical order, so that the order of what came does not show.
  Tally& at(std::string_view rule) {
    std::size_t i = 0;
    while (i < tallies_.size() && tallies_[i].rule < rule) ++i;
    if (i == tallies_.size() || tallies_[i].rule != rule)
      tallies_.insert(tallies_.begin() + static_cast<std::ptrdiff_t>(i), Tally{std::string(rule)});
    return tallies_[i];
  }

  std::vector<Tally> tallies_;
};

/// The report of an extraction.
struct ExtractionReport {
  Tallies pages, images;

  void add(const ExtractionReport& other) {
    pages.add(other.pages);
    images.add(other.images);
  }
  io::Json json() const { return io::Json::Object{{"pages", pages.json()}, {"images", images.json()}}; }
  static ExtractionReport of(const io::Json& json) {
    return {Tallies::of(json.at("pages")), Tallies::of(json.at("images"))};
  }
};

}  // namespace flamingo::web
