#include <flamingo/model/load.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <filesystem>

#include <flamingo/cpu.hpp>

#include "io/files.hpp"
#include "model/open_flamingo_folder.hpp"

namespace load_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::error_of;
using flamingo::tests::TemporaryFolder;

namespace {

using P = Cpu<float>;

constexpr auto small = small_open_flamingo(/*image=*/10, /*vocabulary=*/17, /*context=*/32);

struct OpenFlamingoFolder : OpenFlamingoWeights<small, P> {
  TemporaryFolder folder;
  OpenFlamingoFolder() { write(folder.path()); }
};

/// Whether packed numbers, in float32, are those of a store.
template <class Layer, class Packed, class Views>
bool same_numbers(const Packed& packed, const Views& stored) {
  bool same = true;
  auto compare = [&](const Spec& spec, const auto& a, const auto& b) {
    const auto* numbers = reinterpret_cast<const float*>(a.data);
    same = same && numbers && std::equal(numbers, numbers + spec.size(), b.data);
  };
  Layer::each(compare, packed, stored);
  return same;
}

}  // namespace

TEST_CASE("a published folder opens as one value that outlives it", "[load]") {
  using Loaded = OpenFlamingoFolder::Loaded;
  OpenFlamingoFolder written;
  const Loaded loaded = load<small, P>(written.folder.path(), HeldParts::all(Held::as_floats));
  CHECK(same_numbers<Loaded::Vision>(loaded.vision.views, written.vision.views));
  CHECK(same_numbers<Loaded::Connector>(loaded.connector.views, written.connector.views));
  CHECK(same_numbers<Loaded::Decoder>(loaded.lm.views, written.lm.views));
  const Loaded mapped = load<small, P>(written.folder.path());
  std::filesystem::remove_all(written.folder.path() / "lm");
  CHECK(same_numbers<Loaded::Decoder>(mapped.lm.views, written.lm.views));

  // The three together: a picture's features, and what the decoder makes of them.
  Context<P> ctx(1);
  const Tensor<float> pixels = drawn_rows<float>(100, 3, 7);
  Tensor<float> one(Loaded::Vision::S, small.vision.dim), two(Loaded::Vision::S, small.vision.dim);
  const std::array grid{Grid{0, 10, 10}};
  Loaded::Vision::forward(ctx, written.vision.views, pixels.rows_on<P, 3>(), grid, one.rows_on<P, 12>());
  Loaded::Vision::forward(ctx, mapped.vision.views, pixels.rows_on<P, 3>(), grid, two.rows_on<P, 12>());
  CHECK(one == two);
}

TEST_CASE("a folder that contradicts the compiled config is refused, field by field", "[load]") {
  constexpr auto other = [] {
    auto c = small;
    c.lm.heads = 2;
    c.resampler.latents = 4;
    return c;
  }();
  const OpenFlamingoFolder written;
  const std::string error = error_of([&] { load<other, P>(written.folder.path()); });
  CHECK_THAT(error, Catch::Contains("lm.heads") && Catch::Contains("resampler.latents") && Catch::Contains("3") &&
                        Catch::Contains("4") && !Catch::Contains("lm.dim"));
}

TEST_CASE("a folder with a tensor too few or too many is refused by its name", "[load]") {
  OpenFlamingoFolder written;
  const auto path = written.folder.path() / "vision.safetensors";
  std::vector<io::TensorView> tensors;
  const io::Safetensors file(path);
  for (const io::TensorView& tensor : file.tensors()) tensors.push_back(tensor);
  const auto load_error = [&] {
    io::write_safetensors(written.folder.path() / "new.safetensors", tensors);
    std::filesystem::rename(written.folder.path() / "new.safetensors", path);
    return error_of([&] { load<small, P>(written.folder.path()); });
  };
  SECTION("too few") {
    const std::string name = tensors.back().name.substr(std::string("visual.").size());
    tensors.pop_back();
    CHECK_THAT(load_error(), Catch::Contains("missing 'vision_encoder." + name + "'"));
  }
  SECTION("too many") {
    tensors.push_back(tensors.back());
    tensors.back().name = "visual.surprise";
    CHECK_THAT(load_error(), Catch::Contains("nobody asks for all of 'vision_encoder.surprise'"));
  }
}

}  // namespace load_test
