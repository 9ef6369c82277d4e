#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <flamingo/cpu.hpp>
#include <flamingo/io/image_file.hpp>
#include <flamingo/model/vision/efficientnet_io.hpp>
#include <flamingo/model/vision/preprocess.hpp>

namespace photographs_test {

using namespace flamingo;

TEST_CASE("EfficientNet-Lite0 names packaged photographs", "[.all]") {
  using P = Cpu<float>;
  constexpr EfficientNetLite lite0{};
  const char* path = std::getenv("FLAMINGO_EFFICIENTNET");
  if (!path) {
    WARN("FLAMINGO_EFFICIENTNET does not name the checkpoint: nothing is checked");
    return;
  }
  const io::Safetensors file{path};
  const auto net = load_efficientnet<lite0, P>(file);
  const auto classifier = load_efficientnet_classifier<lite0, P>(file);
  Context<P> ctx;
  const auto named = [&](const char* picture, int side) {
    using Net = model::EfficientNet<lite0, P>;
    const auto scope = ctx.scope();
    const auto image = io::read_image(std::filesystem::path(FLAMINGO_TEST_DATA) / "../examples/pictures" / picture);
    const auto pixels = pixel_rows(image, side, PixelScale::efficientnet_lite());
    const Grid grid{0, side, side}, out = Net::features(grid);
    const auto features = scratch<Net::D>(ctx, out.rows());
    const Rows<P, 3, const float> x{pixels.data(), side * side, {}};
    Net::forward(ctx, net.views, x, std::span(&grid, 1), features);
    const auto logits = scratch<lite0.classes>(ctx, 1);
    model::EfficientNetClassifier<lite0, P>::forward(ctx, classifier.views, features, std::span(&out, 1), logits);
    return static_cast<int>(std::max_element(logits.data, logits.data + lite0.classes) - logits.data);
  };
  const auto is_cat = [](int c) { return c == 281 || c == 282 || c == 285; };        // tabby, tiger cat, Egyptian cat
  for (const int side : {224, 160}) CHECK(named("cup_of_coffee.jpg", side) == 967);  // espresso
  for (const int side : {224, 160, 128, 96}) {
    INFO(side);
    CHECK(is_cat(named("cat.jpg", side)));
  }
}

}  // namespace photographs_test
