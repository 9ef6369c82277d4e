#include <flamingo/model/vision/nfnet_names.hpp>

#include <catch2/catch.hpp>

#include <flamingo/config/presets/nfnet.hpp>
#include <flamingo/model/vision/nfnet.hpp>

#include "io/files.hpp"
#include "model/round_trip.hpp"
#include "model/vision/nfnet_goldens.hpp"
#include "support/golden.hpp"
#include "support/layer.hpp"

namespace nfnet_names_test {

using namespace flamingo;

namespace {

using P = Cpu<float>;

}  // namespace

TEST_CASE("timm's names of an NFNet's tensors", "[nfnet]") {
  using Net = model::NormFreeNet<test::nfnet_tiny_odd, P>;
  const io::Safetensors file(test::golden_path("nfnet_tiny_odd.safetensors"));
  test::check_round_trip<Net>(file, timm_nfnet_names(test::nfnet_tiny_odd), "param.");
}

TEST_CASE("an NFNet-F0 has the tensors of timm's, in their shapes", "[nfnet]") {
  static constexpr NfNet f0 = presets::with_classifier(presets::nfnet_f0);
  const io::Json shapes =
      io::Json::parse(std::string(io::MappedFile(test::golden_path("nfnet_shapes.json")).text()), "nfnet_shapes.json");
  const io::Json& theirs = shapes.at("dm_nfnet_f0").at("state_dict");
  TensorWriter writer(io::DType::f32);
  writer.add_shapes<model::NormFreeNet<f0, P>>(timm_nfnet_names(f0));
  const auto infos = writer.infos();
  CHECK(infos.size() == theirs.as_object().size());
  for (const io::TensorInfo& ours : infos) {
    INFO(ours.name);
    std::vector<std::int64_t> shape;
    for (const io::Json& extent : theirs.at(ours.name).as_array())
      shape.push_back(static_cast<std::int64_t>(extent.as_double()));
    if (shape.empty()) shape = {1};  // torch reads one number as a scalar
    CHECK(ours.shape == shape);
  }
}

TEST_CASE("DeepMind's names of an NFNet's tensors", "[nfnet]") {
  using Net = model::NormFreeNet<test::nfnet_tiny_odd, P>;
  const TensorTable names = haiku_nfnet_names(test::nfnet_tiny_odd);
  const auto w = test::drawn<Net, P>(1);
  TensorWriter writer(io::DType::f32);
  writer.add<Net>(w.views, names);
  const tests::TemporaryFolder folder;
  writer.save(folder.path() / "haiku.safetensors");
  const io::Safetensors file(folder.path() / "haiku.safetensors");
  Store<Net, P> back;
  load_numbers<Net>(file, back.views, names);
  CHECK(back.flat == w.flat);

  const auto shape = [&](const std::string& name) { return file.at("NFNet/~/" + name).shape; };
  using Shape = std::vector<std::int64_t>;
  CHECK(shape("stem_conv0/w") == Shape{3, 3, 3, 2});
  CHECK(shape("nf_block/~/conv0/w") == Shape{1, 1, 16, 8});
  CHECK(shape("nf_block/skip_gain") == Shape{1});
  CHECK(shape("nf_block_1/~/conv_shortcut/w") == Shape{1, 1, 16, 16});
  CHECK(shape("nf_block_4/~/conv1b/w") == Shape{3, 3, 4, 16});
  CHECK(shape("nf_block_4/~/squeeze_excite/~/linear/w") == Shape{32, 16});
  CHECK(shape("final_conv/gain") == Shape{64});
  CHECK(shape("linear/b") == Shape{7});
  CHECK(file.find("NFNet/~/nf_block_5/skip_gain") == nullptr);
  // Of filter o, line k, column l, channel i: ours is row by row, theirs has the filters innermost.
  const auto theirs = test::numbers<float>(file.at("NFNet/~/nf_block_2/~/conv1/w"));
  const auto& ours = std::get<2>(w.views.stages).first.spatial.weight;
  const int o = 5, k = 2, l = 1, i = 3, depth = 4, outputs = 16;
  CHECK(theirs[static_cast<std::size_t>(((k * 3 + l) * depth + i) * outputs + o)] ==
        ours.row(o)[(k * 3 + l) * depth + i]);
}

}  // namespace nfnet_names_test
