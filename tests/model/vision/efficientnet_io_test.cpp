#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <flamingo/cpu.hpp>
#include <flamingo/model/vision/efficientnet_io.hpp>
#include <map>

#include "support/compare.hpp"
#include "support/tensor.hpp"
#include "support/tolerance.hpp"

namespace efficientnet_io_test {

using namespace flamingo;
using test::Tensor;

namespace {

constexpr EfficientNetLite small{.stem = 5,
                                 .stages = {{{1, 3, 1, 1, 3},
                                             {2, 5, 2, 2, 7},
                                             {1, 3, 2, 3, 5},
                                             {1, 3, 1, 1, 5},
                                             {1, 3, 1, 2, 3},
                                             {1, 5, 2, 2, 7},
                                             {1, 3, 1, 2, 11}}},
                                 .head = 13,
                                 .classes = 17};

/// A state dict of random numbers as PyTorch names and lays it out.
struct Checkpoint {
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::int64_t>> shapes;
  std::map<std::string, Tensor<float>> numbers;

  void add(const std::string& name, std::vector<std::int64_t> shape, double low, double high) {
    std::int64_t size = 1;
    for (const std::int64_t extent : shape) size *= extent;
    numbers.emplace(name, Tensor<float>::random(1, static_cast<int>(size), names.size(), low, high));
    shapes.emplace(name, std::move(shape));
    names.push_back(name);
  }
  void convolution(const std::string& name, const std::string& norm, int out, int in, int kernel) {
    add(name + ".weight", {out, in, kernel, kernel}, -0.7, 0.7);
    add(norm + ".weight", {out}, 0.8, 2.5);
    add(norm + ".bias", {out}, -0.5, 1);
    add(norm + ".running_mean", {out}, -0.5, 0.5);
    add(norm + ".running_var", {out}, 0.1, 2);
  }
  Checkpoint() {
    convolution("_conv_stem", "_bn0", small.stem, 3, 3);
    for (int i = 0; i < small.blocks(); ++i) {
      const model::MobileBlock b = model::block_of(small, i);
      const std::string name = "_blocks." + std::to_string(i) + ".";
      if (b.expands()) convolution(name + "_expand_conv", name + "_bn0", b.hidden(), b.in, 1);
      convolution(name + "_depthwise_conv", name + "_bn1", b.hidden(), 1, b.kernel);
      convolution(name + "_project_conv", name + "_bn2", b.out, b.hidden(), 1);
    }
    convolution("_conv_head", "_bn1", small.head, small.stages.back().out, 1);
    add("_fc.weight", {small.classes, small.head}, -0.5, 0.5);
    add("_fc.bias", {small.classes}, -0.5, 0.5);
  }
  void write(const std::filesystem::path& path, const std::string& without = "") const {
    std::vector<io::TensorView> tensors;
    for (const std::string& name : names)
      if (name != without)
        tensors.push_back({name,
                           io::DType::f32,
                           shapes.at(name),
                           {reinterpret_cast<const std::byte*>(numbers.at(name).data()), 4 * numbers.at(name).size()}});
    io::write_safetensors(path, tensors);
  }
  double at(const std::string& name, int i) const { return static_cast<double>(numbers.at(name)(0, i)); }
};

/// A picture with the channels outermost, as PyTorch has it.
struct Planes {
  int channels, height, width;
  std::vector<double> numbers;

  Planes(int c, int h, int w) : channels(c), height(h), width(w), numbers(static_cast<std::size_t>(c * h * w)) {}
  double& at(int c, int y, int x) { return numbers[static_cast<std::size_t>((c * height + y) * width + x)]; }
  double at(int c, int y, int x) const { return const_cast<Planes&>(*this).at(c, y, x); }
};

/// relu6(batch_norm(convolution(x))), unfolded, channel by channel; groups is 1 or all.
Planes layer(const Checkpoint& f, const std::string& name, const std::string& norm, const Planes& x, int stride,
             bool relu6) {
  const auto& shape = f.shapes.at(name + ".weight");
  const int O = static_cast<int>(shape[0]), I = static_cast<int>(shape[1]), K = static_cast<int>(shape[2]);
  const int height = (x.height + stride - 1) / stride, width = (x.width + stride - 1) / stride;
  const int top = std::max(0, (height - 1) * stride + K - x.height) / 2,
            left = std::max(0, (width - 1) * stride + K - x.width) / 2;
  Planes y(O, height, width);
  for (int o = 0; o < O; ++o)
    for (int i = 0; i < height; ++i)
      for (int j = 0; j < width; ++j) {
        double sum = 0;
        for (int c = 0; c < I; ++c)
          for (int k = 0; k < K; ++k)
            for (int l = 0; l < K; ++l) {
              const int row = i * stride - top + k, column = j * stride - left + l;
              if (row < 0 || row >= x.height || column < 0 || column >= x.width) continue;
              sum += f.at(name + ".weight", ((o * I + c) * K + k) * K + l) * x.at(I == x.channels ? c : o, row, column);
            }
        const double normed = (sum - f.at(norm + ".running_mean", o)) /
                                  std::sqrt(f.at(norm + ".running_var", o) + static_cast<double>(small.epsilon)) *
                                  f.at(norm + ".weight", o) +
                              f.at(norm + ".bias", o);
        y.at(o, i, j) = relu6 ? std::clamp(normed, 0.0, 6.0) : normed;
      }
  return y;
}

Planes reference(const Checkpoint& f, const Planes& picture, bool head) {
  Planes x = layer(f, "_conv_stem", "_bn0", picture, 2, true);
  for (int i = 0; i < small.blocks(); ++i) {
    const model::MobileBlock b = model::block_of(small, i);
    const std::string name = "_blocks." + std::to_string(i) + ".";
    Planes y = b.expands() ? layer(f, name + "_expand_conv", name + "_bn0", x, 1, true) : x;
    y = layer(f, name + "_depthwise_conv", name + "_bn1", y, b.stride, true);
    y = layer(f, name + "_project_conv", name + "_bn2", y, 1, false);
    if (b.stride == 1 && b.in == b.out)
      for (std::size_t n = 0; n < y.numbers.size(); ++n) y.numbers[n] += x.numbers[n];
    x = y;
  }
  return head ? layer(f, "_conv_head", "_bn1", x, 1, true) : x;
}

template <EfficientNetLite C, Platform P>
void check_features(const Checkpoint& f, const io::Safetensors& file) {
  using Net = model::EfficientNet<C, P>;
  constexpr bool head = C.features == EfficientNetFeatures::head;
  constexpr int height = 37, width = 53;
  Context<P> ctx(2);
  const auto w = load_efficientnet<C, P>(file);
  const std::vector<Grid> grids{{0, height, width}, {height * width, height, width}};
  const auto x = Tensor<double>::random(cells_of(grids), 3, 7);
  const auto pixels = x.template as<typename P::Real>();
  const Grid out = Net::features(grids[0]);
  Tensor<typename P::Real> y(2 * out.rows(), Net::D);
  Net::forward(ctx, w.views, pixels.template rows_on<P, 3>(), grids, y.template rows_on<P, Net::D>());
  for (int m = 0; m < 2; ++m) {
    Planes picture(3, height, width);
    for (int n = 0; n < height * width; ++n)
      for (int c = 0; c < 3; ++c) picture.at(c, n / width, n % width) = x(m * height * width + n, c);
    const Planes expected = reference(f, picture, head);
    REQUIRE((expected.height == out.height && expected.width == out.width && expected.channels == Net::D));
    Tensor<double> rows(out.rows(), Net::D);
    for (int n = 0; n < out.rows(); ++n)
      for (int c = 0; c < Net::D; ++c) rows(n, c) = expected.at(c, n / out.width, n % out.width);
    if (head) {  // all three parts of ReLU6 are met
      CHECK(std::count(rows.begin(), rows.end(), 0.0) > 0);
      CHECK(std::count(rows.begin(), rows.end(), 6.0) > 0);
      CHECK(std::count_if(rows.begin(), rows.end(), [](double v) { return v > 0 && v < 6; }) > 0);
    }
    // Roundings of one path through the network: the lengths of its sums, each a few roundings more.
    std::size_t roundings = 27 + 4;
    for (int i = 0; i < C.blocks(); ++i) {
      const model::MobileBlock b = model::block_of(C, i);
      roundings += static_cast<std::size_t>(b.in + b.kernel * b.kernel + b.hidden() + 12);
    }
    CHECK(test::distance(test::rows_of(y, m * out.rows(), out.rows()), rows).relative <
          test::chain_bound<typename P::Real>(roundings));
  }
}

}  // namespace

TEST_CASE("a loaded EfficientNet computes what its unfolded state dict says", "[efficientnet]") {
  const auto path = std::filesystem::temp_directory_path() / "flamingo_efficientnet_io_test.safetensors";
  const Checkpoint f;
  f.write(path);
  const io::Safetensors file{path};
  constexpr EfficientNetLite blocks = [] {
    EfficientNetLite c = small;
    c.features = EfficientNetFeatures::blocks;
    return c;
  }();
  check_features<small, Cpu<double>>(f, file);
  check_features<blocks, Cpu<float>>(f, file);

  using P = Cpu<double>;
  Context<P> ctx(1);
  const auto classifier = load_efficientnet_classifier<small, P>(file);
  const auto features = Tensor<double>::random(9, small.head, 3);
  const std::vector<Grid> grids{{0, 2, 3}, {6, 3, 1}};
  Tensor<double> logits(2, small.classes), expected(2, small.classes);
  model::EfficientNetClassifier<small, P>::forward(ctx, classifier.views, features.rows_on<P, small.head>(), grids,
                                                   logits.rows_on<P, small.classes>());
  for (int m = 0; m < 2; ++m)
    for (int k = 0; k < small.classes; ++k) {
      expected(m, k) = f.at("_fc.bias", k);
      for (int c = 0; c < small.head; ++c) {
        double mean = 0;
        const Grid& g = grids[static_cast<std::size_t>(m)];
        for (int n = g.first; n < g.first + g.rows(); ++n) mean += features(n, c) / g.rows();
        expected(m, k) += f.at("_fc.weight", k * small.head + c) * mean;
      }
    }
  CHECK(test::distance(logits, expected).relative < test::chain_bound<double>(small.head + 6 + 4));
  std::filesystem::remove(path);
}

TEST_CASE("a checkpoint that is no such EfficientNet is refused", "[efficientnet]") {
  const auto path = std::filesystem::temp_directory_path() / "flamingo_efficientnet_io_bad.safetensors";
  const Checkpoint f;
  f.write(path, "_blocks.2._bn1.running_var");
  const auto load = [&] { load_efficientnet<small, Cpu<float>>(io::Safetensors{path}); };
  CHECK_THROWS_WITH(load(), Catch::Contains("there is no tensor '_blocks.2._bn1.running_var'"));
  Checkpoint wide;
  wide.shapes.at("_conv_head.weight") = {small.head, 1, 11, 1};
  wide.write(path);
  CHECK_THROWS_WITH(load(), Catch::Contains("'_conv_head.weight' has shape (13, 1, 11, 1), expected (13, 11, 1, 1)"));
  std::filesystem::remove(path);
}

}  // namespace efficientnet_io_test
