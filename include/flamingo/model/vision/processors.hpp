/// How the published models make their encoders' input of a picture: one named policy for each, whose values a
/// checkpoint's preprocessor_config.json states. A policy applied to a picture gives the 8-bit RGB that the encoder
/// sees; pixel_rows() scales it.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/real.hpp>
#include <flamingo/core/threads.hpp>
#include <flamingo/io/image.hpp>
#include <flamingo/io/resize.hpp>
#include <flamingo/model/vision/preprocess.hpp>

namespace flamingo {

namespace detail {

/// Resizes so that the shorter edge is `edge` and the other int(edge * long / short).
template <class Picture>
Picture shortest_edge(Picture picture, int edge, io::Filter filter) {
  io::detail::check_image(picture, "image_processor");
  const auto longer = [&](int across, int along) {
    const double size = static_cast<double>(std::int64_t{edge} * along) / across;
    check(size < 1e9, "image_processor", "a picture of ", picture.width, " x ", picture.height,
          " has no size with a shorter edge of ", edge);
    return static_cast<int>(size);
  };
  const bool upright = picture.width <= picture.height;
  const int width = upright ? edge : longer(picture.height, picture.width);
  const int height = upright ? longer(picture.width, picture.height) : edge;
  return io::resize(std::move(picture), width, height, filter);
}

inline void check_crop(int edge, int crop) {
  check(edge >= 1 && crop >= 1 && crop <= edge, "image_processor", "got the shorter edge ", edge, " and a crop of ",
        crop, ", expected at least 1 and a crop within the edge");
}

}  // namespace detail

/// transformers' CLIPImageProcessor: RGB (alpha is dropped), shorter edge to `edge`, the middle `crop` x `crop` cut out
/// with its odd pixel to the right or below.
struct ClipImageProcessor {
  int edge = 224, crop = 224;
  io::Filter filter = io::Filter::bicubic;
  PixelScale scale = PixelScale::clip();

  io::Image operator()(const io::RawImage& raw) const {
    detail::check_crop(edge, crop);
    const io::Image image = detail::shortest_edge(io::to_rgb(raw), edge, filter);
    return io::crop(image, (image.width - crop) / 2, (image.height - crop) / 2, crop, crop);
  }
};

/// open_clip's inference transform, by torchvision: resized and cut in the picture's own mode and only then RGB; the
/// cut's offset is rounded, halves to even.
struct OpenClipTransform {
  int side = 224;
  io::Filter filter = io::Filter::bicubic;
  PixelScale scale = PixelScale::clip();

  io::Image operator()(const io::RawImage& raw) const {
    detail::check_crop(side, side);
    const io::RawImage resized = detail::shortest_edge(raw, side, filter);
    const auto offset = [&](int extent) {
      const int rest = extent - side, half = rest / 2;
      return half + (rest % 2 != 0 && half % 2 != 0);
    };
    return io::to_rgb(io::crop(resized, offset(resized.width), offset(resized.height), side, side));
  }
};

/// transformers' IdeficsImageProcessor: transparency over white, then straight to a square. A transparent colour of an
/// RGB picture is passed over.
struct IdeficsImageProcessor {
  int side = 224;
  PixelScale scale = PixelScale::clip();

  static io::Image over_white(const io::RawImage& raw) {
    return raw.keyed && raw.mode == io::Mode::rgba ? io::to_rgb(raw) : io::over(raw);
  }
  io::Image operator()(const io::RawImage& raw) const {
    return io::resize(over_white(raw), side, side, io::Filter::bicubic);
  }
};

/// What EfficientNet-Lite reads here: the whole picture on a white square.
struct EfficientNetProcessor {
  int side = 224;
  PixelScale scale = PixelScale::efficientnet_lite();

  io::Image operator()(const io::RawImage& raw) const {
    return io::resize(io::pad_to_square(io::over(raw)), side, side);
  }
};

/// Side² rows of 3 numbers, line by line: what an encoder with side x side pixels takes.
template <Real R = float, class Processor>
std::vector<R> pixel_rows(const Processor& processor, const io::RawImage& raw) {
  return scaled_rows<R>(processor(raw), processor.scale);
}

/// What "the mean value" is with which the paper pads its pictures.
enum class PaddingMean {
  dataset,  ///< that of all pictures: 0 once scaled
  picture,  ///< the picture's own, of each channel
};
/// Where the padding lies.
enum class PaddingPlace {
  around,  ///< the picture is in the middle, an odd row or column more after it
  after,   ///< to the right or below
};

/// The paper's input: resized with its aspect to fit side x side and padded with the mean. The paper states neither
/// filter, mean and deviation, which mean, nor where the picture lies: bicubic and ImageNet's as NFNet's own code has
/// them, the dataset's mean because the paper calls pictures "of mean 0", and the middle are ours.
struct MeanPaddedProcessor {
  int side = 320;
  io::Filter filter = io::Filter::bicubic;
  PixelScale scale = PixelScale::imagenet();
  PaddingMean mean = PaddingMean::dataset;
  PaddingPlace place = PaddingPlace::around;

  /// The picture alone, its longer edge `side`.
  io::Image operator()(const io::RawImage& raw) const {
    check(side > 0, "image_processor", "the side is ", side, ", expected a positive number");
    io::Image image = io::over(raw);
    const double ratio = static_cast<double>(side) / std::max(image.width, image.height);
    const auto fit = [&](int extent) { return std::clamp(static_cast<int>(std::lround(extent * ratio)), 1, side); };
    const int width = fit(image.width), height = fit(image.height);
    return io::resize(std::move(image), width, height, filter);
  }
};
template <Real R = float>
std::vector<R> pixel_rows(const MeanPaddedProcessor& processor, const io::RawImage& raw) {
  const io::Image image = processor(raw);
  const std::vector<R> inner = scaled_rows<R>(image, processor.scale);
  const bool around = processor.place == PaddingPlace::around;
  const std::ptrdiff_t side = processor.side, left = around ? (side - image.width) / 2 : 0,
                       top = around ? (side - image.height) / 2 : 0, line = std::ptrdiff_t{image.width} * 3;
  std::array<double, 3> sum{};
  if (processor.mean == PaddingMean::picture)
    for (std::size_t i = 0; i < inner.size(); ++i) sum[i % 3] += static_cast<double>(inner[i]);
  std::vector<R> rows(static_cast<std::size_t>(side * side * 3));
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<R>(sum[i % 3] / (static_cast<double>(inner.size()) / 3));
  for (std::ptrdiff_t y = 0; y < image.height; ++y)
    std::copy_n(inner.begin() + y * line, line, rows.begin() + ((top + y) * side + left) * 3);
  return rows;
}

/// The rows of `count` pictures, one picture after another. Threads share the pictures; `picture(i)` gives the i-th, so
/// that reading and decoding are shared too, and is called once for each, from any of them.
template <Real R = float, class Processor, class Picture>
std::vector<R> pixel_rows(Threads& threads, const Processor& processor, int count, const Picture& picture) {
  std::vector<std::vector<R>> each(static_cast<std::size_t>(count));
  threads.run(count, [&](int i) { each[static_cast<std::size_t>(i)] = pixel_rows<R>(processor, picture(i)); });
  std::vector<std::size_t> begins{0};
  for (const auto& one : each) begins.push_back(begins.back() + one.size());
  std::vector<R> rows(begins.back());
  threads.run(count, [&](int i) {
    const auto& one = each[static_cast<std::size_t>(i)];
    std::copy(one.begin(), one.end(), rows.begin() + static_cast<std::ptrdiff_t>(begins[static_cast<std::size_t>(i)]));
  });
  return rows;
}

}  // namespace flamingo
