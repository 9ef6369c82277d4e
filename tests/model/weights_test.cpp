#include <flamingo/model/weights.hpp>

#include <catch2/catch.hpp>
#include <filesystem>

#include <flamingo/cpu.hpp>
#include <flamingo/nn/feed_forward.hpp>

#include "io/files.hpp"
#include "support/layer.hpp"
#include "support/platforms.hpp"

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::error_of;
using flamingo::tests::TemporaryFolder;

namespace {

constexpr int D = 5, F = 7, N = 3;
constexpr FeedForwardConfig config{.dim = D, .hidden = F, .bias = true};
template <Platform P>
using Layer = nn::FeedForward<config, P>;

/// A file of drawn weights, and what it was made of.
template <Platform P>
struct Written {
  Store<Layer<P>, P> store = drawn<Layer<P>, P>(3);
  std::vector<io::TensorView> tensors;
  std::vector<std::shared_ptr<std::vector<std::byte>>> bytes;
  TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "weights.safetensors";

  explicit Written(io::DType dtype, std::string_view prefix = "") {
    append_tensors<Layer<P>>(store.views, prefix, dtype, tensors, bytes);
  }
  std::shared_ptr<const io::Safetensors> file() {
    io::write_safetensors(path, tensors);
    return std::make_shared<const io::Safetensors>(path);
  }
};

template <Platform P, class W>
Tensor<typename P::Real> computed(const W& w) {
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 20);
  Tensor<R> x = drawn_rows<R>(N, D, 1), y(N, D);
  Layer<P>::template forward<no_gradients>(ctx, w, x.template rows_on<P, D>(), y.template rows_on<P, D>());
  return y;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("packed weights compute what stored ones do, and outlive their file", "[weights]", Platforms) {
  using P = TestType;
  const auto dtype = GENERATE(io::DType::f32, io::DType::bf16, io::DType::f64);
  Written<P> written(dtype);
  auto file = written.file();
  Store<Layer<P>, P> stored;
  load_numbers<Layer<P>>(*file, stored.views);
  if (dtype == io::DType::f64 || (dtype == io::DType::f32 && sizeof(typename P::Real) == 4))
    CHECK(stored.flat == written.store.flat);
  auto packed = PackedWeights<Layer<P>, P>::load(file);
  const auto floats = PackedWeights<Layer<P>, P>::load(file, Held::as_floats);
  const auto copy = packed;
  packed = {};
  std::filesystem::remove(written.path);
  file.reset();
  CHECK(copy.views.up.format == (dtype == io::DType::bf16 ? Format::bf16 : Format::f32));
  CHECK(floats.views.up.format == Format::f32);
  if (dtype == io::DType::f64)  // packed matrices are held in float at most
    CHECK(distance(computed<P>(copy.views), computed<P>(stored.views)).relative < chain_bound<float>(D + F + 10));
  else
    CHECK(computed<P>(copy.views) == computed<P>(stored.views));
  CHECK(computed<P>(floats.views) == computed<P>(copy.views));
}

TEST_CASE("a foreign file is read through its names", "[weights]") {
  using P = Cpu<float>;
  Written<P> written(io::DType::f32, "model.mlp.");
  const auto file = written.file();
  const NameMap names = [](std::string_view name) { return "model.mlp." + std::string(name); };
  Store<Layer<P>, P> stored;
  load_numbers<Layer<P>>(*file, stored.views, names);
  CHECK(stored.flat == written.store.flat);
  const auto packed = PackedWeights<Layer<P>, P>::load(file, Held::as_stored, names);
  CHECK(computed<P>(packed.views) == computed<P>(stored.views));
}

TEST_CASE("everything that does not fit is told at once", "[weights]") {
  using P = Cpu<float>;
  Written<P> written(io::DType::f32);
  Store<Layer<P>, P> stored;
  const auto load_error = [&] {
    const auto file = written.file();
    const std::string one = error_of([&] { load_numbers<Layer<P>>(*file, stored.views); }),
                      two = error_of([&] { PackedWeights<Layer<P>, P>::load(file); });
    CHECK(one == two);
    return one;
  };
  const std::string begin = "[load] " + written.path.string() + ": ";
  SECTION("one missing") {
    written.tensors.erase(written.tensors.begin());
    CHECK(load_error() == begin + "1 tensor does not fit: missing 'up'");
  }
  SECTION("transposed, too short and missing") {
    written.tensors[0].shape = {D, F};
    written.tensors[2].shape = {F - 1};
    written.tensors[2].bytes = written.tensors[2].bytes.first(4 * (F - 1));
    written.tensors[3].name = "down_bia";
    CHECK(load_error() == begin +
                              "3 tensors do not fit: 'up' has shape (5, 7), expected (7, 5); 'up_bias' has shape (6), "
                              "expected (1, 7); missing 'down_bias'");
  }
  SECTION("many") {
    // A name map that loses every name.
    const auto file = written.file();
    CHECK(error_of([&] {
            load_numbers<Layer<P>>(*file, stored.views, [](std::string_view) { return std::string("?"); });
          }) == begin + "4 tensors do not fit: missing '?'; missing '?'; missing '?'; missing '?'");
  }
  SECTION("the shape of a vector may be written in more extents") {
    written.tensors[2].shape = {1, F, 1};
    CHECK(load_error().empty());
  }
}
