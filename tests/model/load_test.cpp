#include <flamingo/model/load.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include <flamingo/cpu.hpp>
#include <flamingo/io/torch_writer.hpp>

#include "io/files.hpp"
#include "support/layer.hpp"

namespace load_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::error_of;
using flamingo::tests::TemporaryFolder;

namespace {

using P = Cpu<float>;

constexpr FlamingoConfig<Vit, Mpt> small{
    .vision = {.image = 10, .patch = 5, .dim = 12, .layers = 1, .heads = 3},
    .resampler =
        {.dim = 12, .latents = 3, .layers = 1, .heads = 2, .head_dim = 4, .activation = Activation::gelu, .frames = 0},
    .xattn = {.every = 2,
              .offset = 1,
              .heads = 2,
              .head_dim = 4,
              .activation = Activation::gelu,
              .beyond_last = NoImage::uniform},
    .lm = {.dim = 12, .layers = 2, .heads = 3, .hidden = 24, .vocabulary = 17, .added = 3, .context = 32}};

/// A folder as OpenFlamingo's is, of drawn weights.
struct OpenFlamingoFolder {
  using Loaded = LoadedModel<small, P>;
  Store<Loaded::Vision, P> vision = drawn<Loaded::Vision, P>(1);
  Store<Loaded::Connector, P> connector = drawn<Loaded::Connector, P>(2);
  Store<Loaded::Decoder, P> lm = drawn<Loaded::Decoder, P>(3);
  TemporaryFolder folder;

  OpenFlamingoFolder() {
    const auto path = folder.path();
    std::filesystem::create_directories(path / "lm");
    TensorWriter tower(io::DType::f32), decoder(io::DType::f32), trained(io::DType::f32);
    tower.add<Loaded::Vision>(vision.views, open_clip_vit_names(small.vision).within("", "visual."));
    tower.save(path / "vision.safetensors");
    decoder.add<Loaded::Decoder>(lm.views, mpt_names(small.lm));
    decoder.save(path / "lm" / "model.safetensors");
    trained.add<Loaded::Connector>(connector.views, open_flamingo_names(small));
    auto tensors = trained.tensors();
    const auto tokens = decoder.tensors();
    tensors.push_back(tokens[0]);
    tensors.back().name = "lang_encoder.transformer.wte.weight";
    io::write_torch(path / "checkpoint.pt", tensors);
    std::ofstream(path / "lm" / "config.json")
        << R"({"model_type": "mpt", "d_model": 12, "n_layers": 2, "n_heads": 3, "expansion_ratio": 2,
               "vocab_size": 20, "max_seq_len": 32})";
    std::ofstream(path / "open_flamingo.json")
        << R"({"vision": {"image_size": 10, "patch_size": 5, "width": 12, "layers": 1, "head_width": 4},
               "perceiver": {"depth": 1, "dim_head": 4, "heads": 2, "num_latents": 3},
               "cross_attention": {"dim_head": 4, "heads": 2}})";
  }
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
