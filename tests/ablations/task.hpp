/// What the mini rows of the ablation table are trained on: the packaged pictures by name, in documents shaped like the
/// paper's datasets. Held out are other crops of the same pictures, and documents of another order.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/config/presets/ablations.hpp>
#include <flamingo/train/trainer.hpp>

namespace flamingo::test {

using P = Cpu<double>;
using MiniBatch = TrainingBatch<double>;

/// A view is a crop of 3/4 to all of a picture, turned or not, lighter or darker, at 64 x 64 pixels: NFNet makes 2 x 2
/// cells of it.
struct Pictures {
  static constexpr int side = 64, shown = 24, views = 32;  ///< the first `shown` are trained on, the rest held out
  static constexpr int taught = 8;                         ///< pictures: as many as 500 steps teach to tell apart

  explicit Pictures(const std::filesystem::path& folder);
  int count() const { return static_cast<int>(names.size()); }
  const std::vector<double>& view(int picture, int v) const {
    return pixels[static_cast<std::size_t>(picture * views + v)];
  }

  std::vector<std::vector<int>> names;      ///< words of each
  std::vector<std::vector<double>> pixels;  ///< (side², 3) of each picture's views
};
const Pictures& packaged_pictures();

/// Ids: 0 begins a document, 1 is the tag of an image, then words; <EOC> is the row added to the 64.
inline constexpr int bos = 0, image_tag = 1, eoc = 64;

/// What stands for pictures in a batch: feature rows of a frozen encoder, or pixels where it is trained.
struct Sight {
  const Pictures* pictures = nullptr;
  const std::vector<std::vector<double>>* features = nullptr;  ///< of each view; null: pixels
  int cells = 4;                                               ///< feature rows of a view
};

/// Every view through a frozen encoder (sights.cpp). Nobody trained it: convolutions of drawn weights tell pictures
/// apart well enough for this.
const Sight& sight_by(const NfNet& encoder);
const Sight& sight_by(const Vit& encoder);

/// `count` documents of a dataset of the table, as the paper's have them: M3W's pages show two pictures, their texts
/// behind them or before them, with probability p_next all of a page's texts with the next picture. What is shown is
/// the picture `shift` after the one that is told of.
MiniBatch documents(const Sight& sight, std::string_view dataset, std::uint64_t stream, int count, float p_next,
                    bool held_out = false, int shift = 0);
/// Pages and pairs that no run is trained on; with `shift` their pictures are those of other documents.
MiniBatch held_out(const Sight& sight, int shift = 0);

/// Documents of a dataset in a mini batch, after the paper's proportions.
int mini_count(const presets::Share& share);

}  // namespace flamingo::test
