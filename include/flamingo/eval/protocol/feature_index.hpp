/// Retrieval of demonstrations (RICES, Yang et al. 2021): the support items whose pictures are most like the query's.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/safetensors.hpp>

namespace flamingo {

/// Features of items, of length 1. They are saved with the ids they belong to and the name of what made them.
class FeatureIndex {
 public:
  explicit FeatureIndex(std::string encoder, int width) : encoder_(std::move(encoder)), width_(width) {
    check(width > 0, "feature_index", "the width is ", width, ", expected a positive number");
  }

  const std::string& encoder() const { return encoder_; }
  const std::vector<std::string>& ids() const { return ids_; }
  int width() const { return width_; }
  /// The features of an item, of length 1.
  std::span<const float> features_of(std::size_t item) const {
    const auto width = static_cast<std::size_t>(width_);
    return std::span(features_).subspan(item * width, width);
  }

  /// One more item. Throws where its features have another width, are not finite or all zero.
  void add(std::string id, std::span<const float> features) {
    const std::vector<float> unit = of_length_1(features, id);
    features_.insert(features_.end(), unit.begin(), unit.end());
    ids_.push_back(std::move(id));
  }

  /// The k items nearest by cosine, the most similar last, as they stand before the query; of equals the earlier one is
  /// nearer. An item of the id `but` is left out: a query is no demonstration of itself.
  std::vector<std::size_t> nearest(std::span<const float> query, std::size_t k, std::string_view but = {}) const {
    const std::vector<float> unit = of_length_1(query, "the query");
    const auto width = static_cast<std::size_t>(width_);
    std::vector<std::pair<double, std::size_t>> found;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (!but.empty() && ids_[i] == but) continue;
      double product = 0;
      for (std::size_t d = 0; d < width; ++d)
        product += static_cast<double>(unit[d]) * static_cast<double>(features_[i * width + d]);
      found.emplace_back(-product, i);
    }
    check(k <= found.size(), "feature_index", "cannot find ", k, " items among ", found.size());
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(k), found.end());
    std::vector<std::size_t> last_best;
    for (std::size_t i = k; i > 0; --i) last_best.push_back(found[i - 1].second);
    return last_best;
  }

  void save(const std::filesystem::path& path) const {
    io::Json::Array ids(ids_.begin(), ids_.end());
    io::SafetensorsWriter writer(path, {{"features", io::DType::f32, {static_cast<std::int64_t>(ids_.size()), width_}}},
                                 {{"encoder", encoder_}, {"ids", io::Json(std::move(ids)).dump()}});
    writer.write(0, std::as_bytes(std::span(features_)));
    writer.commit();
  }
  /// Throws where the file is no index, or another encoder made it.
  static FeatureIndex load(const std::filesystem::path& path, std::string_view encoder) {
    const io::Safetensors file(path);
    std::string made_by;
    FeatureIndex index("", 1);
    for (const auto& [name, text] : file.metadata()) {
      if (name == "encoder") made_by = text;
      if (name != "ids") continue;
      const io::Json ids = io::Json::parse(text, path.string());
      for (const io::Json& id : ids.as_array()) index.ids_.push_back(id.as_string());
    }
    check(made_by == encoder, "feature_index", path.string(), ": found features of '", made_by,
          "', expected those of '", encoder, '\'');
    const io::TensorView& tensor = file.at("features");
    check(tensor.dtype == io::DType::f32 && tensor.shape.size() == 2 && tensor.shape[1] > 0 &&
              tensor.shape[0] == static_cast<std::int64_t>(index.ids_.size()),
          "feature_index", path.string(), ": found features that are not float32 of ", index.ids_.size(), " items");
    index.encoder_ = made_by;
    index.width_ = static_cast<int>(tensor.shape[1]);
    index.features_.resize(tensor.bytes.size() / sizeof(float));
    std::memcpy(index.features_.data(), tensor.bytes.data(), tensor.bytes.size());
    return index;
  }

 private:
  std::vector<float> of_length_1(std::span<const float> features, std::string_view whose) const {
    check(features.size() == static_cast<std::size_t>(width_), "feature_index", whose, " has ", features.size(),
          " features, expected ", width_);
    double squares = 0;
    for (const float x : features) squares += static_cast<double>(x) * static_cast<double>(x);
    check(std::isfinite(squares) && squares > 0, "feature_index", whose, " has features of length ",
          std::sqrt(squares));
    std::vector<float> unit;
    for (const float x : features) unit.push_back(static_cast<float>(static_cast<double>(x) / std::sqrt(squares)));
    return unit;
  }

  std::string encoder_;
  int width_;
  std::vector<std::string> ids_;
  std::vector<float> features_;
};

}  // namespace flamingo
