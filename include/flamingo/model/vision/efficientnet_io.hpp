/// Reads an EfficientNet-Lite checkpoint: the state dict of the PyTorch port, as safetensors, batch norms folded.
#pragma once
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/vision/efficientnet.hpp>

namespace flamingo {
namespace detail {

/// The numbers of a tensor whose shape must be `shape`.
inline std::vector<double> numbers_of(const io::Safetensors& file, const std::string& name,
                                      const std::vector<std::int64_t>& shape) {
  const io::TensorView& tensor = file.at(name);
  check(tensor.shape == shape, "load_efficientnet", file.path().string(), ": '", name, "' has shape ",
        io::shape_text(tensor.shape), ", expected ", io::shape_text(shape));
  std::vector<double> numbers(static_cast<std::size_t>(tensor.count()));
  io::convert(tensor, std::span(numbers));
  return numbers;
}

/// w' = w γ / √(variance + ε), b' = β - mean γ / √(variance + ε), and w' from [O][I][h][w] to [O][h][w][I].
template <class W, class B>
void read_folded(const io::Safetensors& file, const std::string& convolution, const std::string& norm, int kernel,
                 float epsilon, const W& weight, const B& bias) {
  const int O = weight.rows, cells = kernel * kernel, depth = weight.columns / cells;
  const std::vector<double> w = numbers_of(file, convolution + ".weight", {O, depth, kernel, kernel});
  const std::vector<double> scale = numbers_of(file, norm + ".weight", {O}),
                            shift = numbers_of(file, norm + ".bias", {O}),
                            mean = numbers_of(file, norm + ".running_mean", {O}),
                            variance = numbers_of(file, norm + ".running_var", {O});
  for (int o = 0; o < O; ++o) {
    const auto at = static_cast<std::size_t>(o);
    const double factor = scale[at] / std::sqrt(variance[at] + static_cast<double>(epsilon));
    const double* from = w.data() + at * static_cast<std::size_t>(depth * cells);
    for (int k = 0; k < cells; ++k)
      for (int i = 0; i < depth; ++i)
        weight.row(o)[k * depth + i] =
            static_cast<std::remove_reference_t<decltype(*weight.data)>>(factor * from[i * cells + k]);
    bias.data[o] = static_cast<std::remove_reference_t<decltype(*bias.data)>>(shift[at] - mean[at] * factor);
  }
}

}  // namespace detail

/// The encoder's weights. Names are the state dict's (`_conv_stem.weight`, `_blocks.3._bn1.running_var`, ...).
template <EfficientNetLite C, Platform P>
Store<model::EfficientNet<C, P>, P> load_efficientnet(const io::Safetensors& file) {
  using Net = model::EfficientNet<C, P>;
  Store<Net, P> store;
  const auto read = [&](const std::string& convolution, const std::string& norm, int kernel, const auto& folded) {
    detail::read_folded(file, convolution, norm, kernel, C.epsilon, folded.weight, folded.bias);
  };
  read("_conv_stem", "_bn0", 3, store.views.stem);
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    const auto block = [&]<std::size_t n>(std::integral_constant<std::size_t, n>) {
      constexpr model::MobileBlock b = model::block_of(C, static_cast<int>(n));
      const auto& w = std::get<n>(store.views.blocks);
      const std::string name = "_blocks." + std::to_string(n) + ".";
      if constexpr (b.expands()) read(name + "_expand_conv", name + "_bn0", 1, w.expand);
      read(name + "_depthwise_conv", name + "_bn1", b.kernel, w.depthwise);
      read(name + "_project_conv", name + "_bn2", 1, w.project);
    };
    (block(std::integral_constant<std::size_t, i>{}), ...);
  }(std::make_index_sequence<Net::count>{});
  if constexpr (Net::has_head) read("_conv_head", "_bn1", 1, store.views.head);
  return store;
}

/// The weights of its classifier.
template <EfficientNetLite C, Platform P>
Store<model::EfficientNetClassifier<C, P>, P> load_efficientnet_classifier(const io::Safetensors& file) {
  Store<model::EfficientNetClassifier<C, P>, P> store;
  const auto copy = [&](const std::string& name, const std::vector<std::int64_t>& shape, const auto& leaf) {
    const std::vector<double> numbers = detail::numbers_of(file, name, shape);
    for (std::size_t i = 0; i < numbers.size(); ++i) leaf.data[i] = static_cast<typename P::Real>(numbers[i]);
  };
  copy("_fc.weight", {C.classes, C.head}, store.views.weight);
  copy("_fc.bias", {C.classes}, store.views.bias);
  return store;
}

}  // namespace flamingo
