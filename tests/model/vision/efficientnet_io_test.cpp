#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <flamingo/kernels/cpu/convolution.hpp>
#include <flamingo/kernels/cpu/linear.hpp>
#include <flamingo/kernels/cpu/pooling.hpp>
#include <flamingo/kernels/cpu/residual.hpp>
#include <flamingo/model/vision/efficientnet_io.hpp>
#include <flamingo/model/vision/preprocess.hpp>

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
    const auto pixels =
        pixel_rows(io::read_image(std::filesystem::path(FLAMINGO_TEST_DATA) / "../examples/pictures" / picture), side,
                   PixelScale::efficientnet_lite());
    const Grid grid{0, side, side}, out = Net::features(grid);
    const auto features = scratch<Net::D>(ctx, out.rows());
    Net::forward(ctx, net.views, Rows<P, 3, const float>{pixels.data(), side * side, {}}, std::span(&grid, 1),
                 features);
    const auto logits = scratch<lite0.classes>(ctx, 1);
    model::EfficientNetClassifier<lite0, P>::forward(ctx, classifier.views, features, std::span(&out, 1), logits);
    std::vector<float> scores(logits.data, logits.data + logits.size());
    const auto best = std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (const float score : scores) sum += std::exp(static_cast<double>(score - *best));
    return std::pair{static_cast<int>(best - scores.begin()), 1 / sum};
  };
  const auto is_cat = [](int c) { return c == 281 || c == 282 || c == 285; };  // tabby, tiger cat, Egyptian cat
  for (const int side : {224, 160, 128, 96}) {
    const auto [coffee, p_coffee] = named("cup_of_coffee.jpg", side);
    const auto [cat, p_cat] = named("cat.jpg", side);
    const auto [rocket, p_rocket] = named("rocket.jpg", side);
    INFO("at " << side << " px: coffee " << coffee << ' ' << p_coffee << ", cat " << cat << ' ' << p_cat << ", rocket "
               << rocket << ' ' << p_rocket);
    CHECK(coffee == 967);  // espresso
    CHECK(is_cat(cat));
    if (side == 224) CHECK(rocket == 657);  // missile
  }
}
