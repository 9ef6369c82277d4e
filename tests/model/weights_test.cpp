#include <flamingo/model/weights.hpp>

#include <catch2/catch.hpp>
#include <filesystem>

#include <flamingo/cpu.hpp>
#include <flamingo/nn/feed_forward.hpp>

#include "io/files.hpp"
#include "support/layer.hpp"
#include "support/platforms.hpp"

namespace weights_test {

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
  TensorWriter writer;
  std::vector<io::TensorView> tensors;
  TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "weights.safetensors";

  explicit Written(io::DType dtype, const TensorTable& table = {}) : writer(dtype) {
    writer.add<Layer<P>>(store.views, table);
    tensors = writer.tensors();
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
  const TensorTable names([](std::string_view name) { return "model.mlp." + std::string(name); });
  Written<P> written(io::DType::f32, names);
  const auto file = written.file();
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
            load_numbers<Layer<P>>(*file, stored.views, TensorTable([](std::string_view) { return std::string("?"); }));
          }) == begin + "4 tensors do not fit: missing '?'; missing '?'; missing '?'; missing '?'");
  }
  SECTION("the shape of a vector may be written in more extents") {
    written.tensors[2].shape = {1, F, 1};
    CHECK(load_error().empty());
  }
}

namespace {

/// Three matrices that a foreign file holds as one, and what else it arranges in its own way.
template <Platform P>
struct Odd {
  static constexpr int H = 2, K = 3, C = 2;
  template <class S>
  struct Parameters {
    Matrix<S, H * K, D> query, key, value;
    Vector<S, H * K> key_bias, value_bias;
    Matrix<S, F, D> turned;
    Matrix<S, F, 4 * C> filters;
    Table<S, 1, D> token;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("heads.query", H * K, D, Init::normal(1)), p.query...);
    visit(matrix_spec("heads.key", H * K, D, Init::normal(1)), p.key...);
    visit(matrix_spec("heads.value", H * K, D, Init::normal(1)), p.value...);
    visit(vector_spec("heads.key_bias", H * K, Init::normal(1)), p.key_bias...);
    visit(vector_spec("heads.value_bias", H * K, Init::normal(1)), p.value_bias...);
    visit(matrix_spec("blocks.1.turned", F, D, Init::normal(1)), p.turned...);
    visit(matrix_spec("filters", F, 4 * C, Init::normal(1)), p.filters...);
    visit(table_spec("token", 1, D, Init::normal(1)), p.token...);
  }
};

/// A vector that a foreign file has within another.
struct Six {
  template <class S>
  struct Parameters {
    Vector<S, 6> bias;
  };
  static constexpr void each(auto& visit, auto&... p) { visit(vector_spec("bias", 6, Init::one()), p.bias...); }
};

/// Queries, keys and values of each head lie together, as GPT-NeoX has them; biases in halves.
TensorTable odd_table() {
  constexpr int K = Odd<Cpu<float>>::K, HK = Odd<Cpu<float>>::H * K;
  return TensorTable({{.ours = "heads.query", .theirs = "qkv.weight", .first = 0, .group = K, .stride = 3 * K},
                      {.ours = "heads.key", .theirs = "qkv.weight", .first = K, .group = K, .stride = 3 * K},
                      {.ours = "heads.value", .theirs = "qkv.weight", .first = 2 * K, .group = K, .stride = 3 * K},
                      {.ours = "heads.key_bias", .theirs = "kv.bias", .group = HK},
                      {.ours = "heads.value_bias", .theirs = "kv.bias", .first = HK, .group = HK},
                      {.ours = "blocks.*.turned", .theirs = "h.*.w", .layout = Layout::transposed, .numbers = {5, 7}},
                      {.ours = "filters", .theirs = "conv.weight", .layout = Layout::channels_first, .channels = 2},
                      {.ours = "token", .theirs = "cls", .layout = Layout::line}},
                     {"h.*.buffer"});
}

}  // namespace

TEST_CASE("fused, interleaved, transposed and channels-first tensors are read and written back", "[weights]") {
  using P = Cpu<float>;
  constexpr int K = Odd<P>::K;
  const auto store = drawn<Odd<P>, P>(5);
  const TensorTable table = odd_table();
  TensorWriter writer(io::DType::f32);
  writer.add<Odd<P>>(store.views, table);
  auto tensors = writer.tensors();
  REQUIRE(tensors.size() == 5);
  const auto at = [&](std::size_t n, std::size_t i) {
    return io::detail::load<float>(tensors[n].bytes.data() + 4 * i);
  };
  CHECK(tensors[0].shape == std::vector<std::int64_t>{18, D});
  CHECK(at(0, static_cast<std::size_t>((3 * K + K + 1) * D + 2)) ==
        store.views.key.row(K + 1)[2]);  // head 1, key row 1
  CHECK(tensors[1].shape == std::vector<std::int64_t>{12});
  CHECK(at(1, 7) == store.views.value_bias.data[1]);
  CHECK(tensors[2].name == "h.7.w");
  CHECK(tensors[2].shape == std::vector<std::int64_t>{D, F});
  CHECK(at(2, 3 * F + 4) == store.views.turned.row(4)[3]);
  CHECK(tensors[3].shape == std::vector<std::int64_t>{F, 2, 2, 2});
  CHECK(at(3, 8 + 4 + 2) == store.views.filters.row(1)[2 * 2 + 1]);  // colour 1, line 1, column 0
  CHECK(tensors[4].shape == std::vector<std::int64_t>{D});

  const TemporaryFolder folder;
  const auto path = folder.path() / "odd.safetensors";
  const float zero = 0;
  tensors.push_back({"h.3.buffer", io::DType::f32, {1}, std::as_bytes(std::span(&zero, 1))});
  SECTION("as numbers") {
    io::write_safetensors(path, tensors);
    Store<Odd<P>, P> read;
    LoadReport report("odd");
    const io::Safetensors file(path);
    load_numbers<Odd<P>>(file, read.views, table, &report);
    report.look_for_unexpected(file, table);
    report.finish();
    CHECK(read.flat == store.flat);
    CHECK(report.used().size() == 5);
  }
  SECTION("packed, in every form") {
    io::write_safetensors(path, tensors);
    const auto file = std::make_shared<const io::Safetensors>(path);
    for (const Held held : {Held::as_stored, Held::as_floats, Held::as_bf16, Held::as_int8}) {
      const auto packed = PackedWeights<Odd<P>, P>::load(file, held, table);
      const Tensor<float> x = drawn_rows<float>(N, D, 1);
      Tensor<float> y(N, Odd<P>::H * K), expected(N, Odd<P>::H * K);
      Context<P> ctx(1, 1 << 20);
      ops::linear(ctx, x.rows_on<P, D>(), packed.views.value, y.rows_on<P, Odd<P>::H * K>());
      ops::linear(ctx, x.rows_on<P, D>(), store.views.value, expected.rows_on<P, Odd<P>::H * K>());
      const double step = held == Held::as_bf16 ? 1.0 / 256 : held == Held::as_int8 ? 1.0 / 127 : 1e-7;
      CHECK(distance(y, expected).relative < 2 * step);
      if (held != Held::as_stored && held != Held::as_floats) CHECK(distance(y, expected).relative > step / 50);
      const auto panels = PackedWeights<Odd<P>, P>::load(file, held, table, nullptr, Arrangement::panels);
      CHECK(panels.views.value.panels);
      CHECK(panels.owners.size() <= packed.owners.size() + 2);  // not both arrangements of what was converted
      Tensor<float> same(N, Odd<P>::H * K);
      ops::linear(ctx, x.rows_on<P, D>(), panels.views.value, same.rows_on<P, Odd<P>::H * K>());
      CHECK(same == y);
    }
  }
  SECTION("what nobody reads, or reads in part, is told") {
    tensors.push_back({"h.3.other", io::DType::f32, {1}, std::as_bytes(std::span(&zero, 1))});
    io::write_safetensors(path, tensors);
    const TensorTable half({{.ours = "bias", .theirs = "kv.bias", .first = 2}}, {"h.*.buffer", "conv.weight", "cls"});
    Store<Six, P> read;
    LoadReport report("odd");
    const io::Safetensors file(path);
    load_numbers<Six>(file, read.views, half, &report);
    report.look_for_unexpected(file, half);
    CHECK(report.unexpected() == std::vector<std::string>{"qkv.weight", "kv.bias", "h.7.w", "h.3.other"});
    CHECK(error_of([&] { report.finish(); }) ==
          "[load] odd: 4 tensors do not fit: nobody asks for all of 'qkv.weight'; nobody asks for all of 'kv.bias'; "
          "nobody asks for all of 'h.7.w'; nobody asks for all of 'h.3.other'");
  }
  SECTION("a part that reaches past the end of its tensor") {
    tensors[1].shape = {11};
    tensors[1].bytes = tensors[1].bytes.first(44);
    io::write_safetensors(path, tensors);
    Store<Odd<P>, P> read;
    CHECK(error_of([&] { load_numbers<Odd<P>>(io::Safetensors(path), read.views, table); }) ==
          "[load] " + path.string() +
              ": 1 tensor does not fit: 'kv.bias' has shape (11), expected (1, 6) or more rows");
  }
  SECTION("a part that nobody writes") {
    TensorWriter gap(io::DType::f32);
    gap.add<Six>(Store<Six, P>(1).views, TensorTable({{.ours = "bias", .theirs = "all", .first = 3}}));
    CHECK(error_of([&] { gap.tensors(); }) == "[save] 'all' has 9 numbers, of which 6 were written");
  }
}

TEST_CASE("a load may expect some parameters to be missing", "[weights]") {
  using P = Cpu<float>;
  Written<P> written(io::DType::f32);
  written.tensors.erase(written.tensors.begin());
  const auto file = written.file();
  Store<Layer<P>, P> stored(7);
  const Store<Layer<P>, P> fresh(7);
  LoadReport report("weights");
  report.expect_missing("up");
  load_numbers<Layer<P>>(*file, stored.views, {}, &report);
  report.finish();
  CHECK(report.missing() == std::vector<std::string>{"up"});
  CHECK(std::equal(stored.views.up.data, stored.views.up.data + F * D, fresh.views.up.data));
  CHECK(stored.views.down.data[3] == written.store.views.down.data[3]);
}

}  // namespace weights_test
